"""Verification of JWTs: every family of algorithms, rotated secrets, key sets, claims, remembered signatures."""

import base64
import hmac
import json
from typing import Any

import attrs
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from channeld.auth import jwt_verifier
from channeld.auth.authenticator import CompiledAuth, Denied, Grant
from channeld.auth.jwt_verifier import JwtVerifier
from channeld.config.model import JwtAuth, Secret
from channeld.later import run_sync
from channeld.schema.compiled import compiled

NOW = 1_000_000.0
SECRET = "a secret of at least thirty-two bytes"


def plan_of(
    declared: JwtAuth, claims: Any = None, keys: Any = None, is_revoked: Any = None
) -> JwtVerifier:
    return JwtVerifier(
        declared,
        CompiledAuth(
            user=lambda scope, _message: scope.claims.get("sub"),
            claims=compiled(claims) if claims is not None else None,
        ),
        keys,
        is_revoked or never,
    )


def never(_user: str, _claims: Any, _wall: float) -> bool:
    return False


def verify(verifier: JwtVerifier, token: str) -> Grant | Denied:
    return run_sync(verifier.verify(token, NOW))


def signed(key: Any, algorithm: str, **claims: Any) -> str:
    payload = {"sub": "ann", "exp": NOW + 60, **claims}
    return jwt.encode(payload, key, algorithm=algorithm)


PRIVATE: dict[str, Any] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
PRIVATE["PS256"] = PRIVATE["RS256"]


def public_pem(algorithm: str) -> str:
    key = PRIVATE[algorithm].public_key()
    encoded: bytes = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded.decode()


@pytest.mark.parametrize("algorithm", sorted(PRIVATE))
def test_public_key_algorithms(algorithm: str) -> None:
    declared = JwtAuth(algorithms=(algorithm,), public_key=public_pem(algorithm))
    granted = verify(plan_of(declared), signed(PRIVATE[algorithm], algorithm))
    assert isinstance(granted, Grant)
    assert (granted.user.id, granted.expires, granted.leeway) == ("ann", NOW + 60, 30)


@pytest.mark.parametrize(
    "algorithm",
    [
        "none",
        "None",
        "nOnE",
        "",
        None,
        ["HS256"],
        {"HS256": 1},
        256,
        "hs256",
        "HS256 ",
        "HS384",
        ...,
    ],
)
@pytest.mark.parametrize("signature", ["", "right"])
def test_a_token_that_is_not_signed_as_declared_is_refused(algorithm: Any, signature: str) -> None:
    header = {"typ": "JWT"} if algorithm is ... else {"typ": "JWT", "alg": algorithm}
    payload = {"sub": "ann", "exp": NOW + 60}
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in (header, payload)
    )
    mac = hmac.digest(SECRET.encode(), head + b"." + body, "sha256") if signature else b""
    signed = b".".join((head, body, base64.urlsafe_b64encode(mac).rstrip(b"=")))
    assert isinstance(verify(plan_of(HMAC), signed.decode()), Denied)


def signed_with_text(key: str, algorithm: str) -> str:
    """A token whose HMAC key is a text that PyJWT would not sign with."""
    header, payload, _ = signed(SECRET * 2, algorithm).split(".")
    hashed = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[algorithm]
    mac = hmac.digest(key.encode(), f"{header}.{payload}".encode(), hashed)
    return f"{header}.{payload}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def test_public_key_taken_for_a_secret_is_refused() -> None:
    pem = public_pem("RS256")
    denied = verify(
        plan_of(JwtAuth(algorithms=("RS256",), public_key=pem)), signed_with_text(pem, "HS256")
    )
    assert isinstance(denied, Denied)
    assert denied.reason == "the token is signed with an algorithm that is not in `algorithms`"


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_secret_that_is_a_public_key_verifies_nothing(algorithm: str) -> None:
    pem = public_pem("RS256")
    plan = plan_of(JwtAuth(algorithms=(algorithm,), secrets=(Secret(text=pem),)))
    denied = verify(plan, signed_with_text(pem, algorithm))
    assert isinstance(denied, Denied)
    assert denied.reason == "the key cannot be used with the algorithm of the token"


def test_every_secret_of_a_rotation_verifies() -> None:
    new, old = Secret(text=SECRET), Secret(text="another secret, thirty-two bytes or more")
    plan = plan_of(JwtAuth(algorithms=("HS256",), secrets=(new, old)))
    for secret in (new, old):
        assert isinstance(verify(plan, signed(secret.text, "HS256")), Grant)
    assert isinstance(
        verify(plan, signed("a third secret, of thirty-two bytes!!", "HS256")), Denied
    )


@pytest.mark.parametrize(
    ("claims", "granted"),
    [
        ({"iss": "https://id", "aud": "chat"}, True),
        ({"iss": "https://id", "aud": ["chat", "other"]}, True),
        ({"iss": "https://evil", "aud": "chat"}, False),
        ({"iss": "https://id", "aud": "other"}, False),
        ({"aud": "chat"}, False),
        ({"iss": "https://id"}, False),
    ],
)
def test_issuer_and_audience_are_checked_when_given(claims: dict[str, Any], granted: bool) -> None:
    declared = JwtAuth(
        algorithms=("HS256",),
        secrets=(Secret(text=SECRET),),
        issuer="https://id",
        audience=("chat",),
    )
    outcome = verify(plan_of(declared), signed(SECRET, "HS256", **claims))
    assert isinstance(outcome, Grant) == granted


@pytest.mark.parametrize(("exp", "granted"), [(NOW - 29, True), (NOW - 30, False)])
def test_leeway_counts_for_a_token_that_has_just_expired(exp: float, granted: bool) -> None:
    plan = plan_of(JwtAuth(algorithms=("HS256",), secrets=(Secret(text=SECRET),)))
    assert isinstance(verify(plan, signed(SECRET, "HS256", exp=exp)), Grant) == granted


def test_expiry_may_be_optional_or_ignored() -> None:
    base = JwtAuth(algorithms=("HS256",), secrets=(Secret(text=SECRET),))
    ignored = verify(plan_of(attrs.evolve(base, on_expiry="ignore")), signed(SECRET, "HS256"))
    assert isinstance(ignored, Grant)
    assert (ignored.expires, ignored.leeway) == (NOW + 60, None)
    endless = jwt.encode({"sub": "ann"}, SECRET)
    assert isinstance(verify(plan_of(base), endless), Denied)
    assert isinstance(verify(plan_of(attrs.evolve(base, expiry="optional")), endless), Grant)


def test_claims_schema_must_be_satisfied() -> None:
    declared = JwtAuth(algorithms=("HS256",), secrets=(Secret(text=SECRET),))
    plan = plan_of(declared, {"required": ["name"]})
    assert isinstance(verify(plan, signed(SECRET, "HS256", name="Ann")), Grant)
    assert isinstance(verify(plan, signed(SECRET, "HS256")), Denied)


@attrs.frozen
class OneKey:
    key: Any
    algorithms: tuple[str, ...]


class FakeKeySet:
    """A key set that learns its key when it is refreshed."""

    def __init__(self, *, late: bool) -> None:
        self.keys: dict[str | None, OneKey] = {}
        self.late = late
        self.refreshed = 0
        self.is_known = True
        if not late:
            self.learn()

    def learn(self) -> None:
        self.keys["k1"] = OneKey(PRIVATE["ES256"].public_key(), ("ES256",))

    def find(self, kid: str | None) -> OneKey | None:
        return self.keys.get(kid)

    def may_refresh(self) -> bool:
        return self.refreshed == 0

    async def refresh(self) -> None:
        self.refreshed += 1
        self.learn()


def test_key_of_the_set_verifies_and_another_kid_is_refused_without_a_word() -> None:
    keys = FakeKeySet(late=False)
    keys.refreshed = 1
    plan = plan_of(JwtAuth(algorithms=("ES256",)), keys=keys)
    good = jwt.encode({"sub": "a", "exp": NOW + 9}, PRIVATE["ES256"], "ES256", {"kid": "k1"})
    assert isinstance(verify(plan, good), Grant)
    for kid in ("k2", "../../k1", "x" * 10_000, ""):
        bad = jwt.encode({"sub": "a", "exp": NOW + 9}, PRIVATE["ES256"], "ES256", {"kid": kid})
        assert isinstance(verify(plan, bad), Denied)


def test_while_no_set_could_be_read_the_client_may_come_again() -> None:
    keys = FakeKeySet(late=False)
    keys.keys.clear()
    keys.refreshed, keys.is_known = 1, False
    verifier = plan_of(JwtAuth(algorithms=("ES256",)), keys=keys)
    token = jwt.encode({"sub": "a", "exp": NOW + 9}, PRIVATE["ES256"], "ES256", {"kid": "k1"})
    assert verify(verifier, token) == Denied("no key set could be read yet", is_final=False)
    keys.is_known = True
    assert verify(verifier, token) == Denied("unknown key id")


async def test_unknown_kid_refreshes_the_set_once() -> None:
    keys = FakeKeySet(late=True)
    verifier = plan_of(JwtAuth(algorithms=("ES256",)), keys=keys)
    from channeld.later import Pending

    good = jwt.encode({"sub": "a", "exp": NOW + 9}, PRIVATE["ES256"], "ES256", {"kid": "k1"})
    assert isinstance(await Pending(verifier.verify(good, NOW)), Grant)
    assert keys.refreshed == 1


def test_pyjwt_itself_is_left_as_it_is() -> None:
    plan_of(JwtAuth(algorithms=("HS256",), secrets=(Secret(text=SECRET),)))
    algorithm = jwt.get_algorithm_by_name("HS256")
    assert type(algorithm) is jwt.algorithms.HMACAlgorithm


HMAC = JwtAuth(algorithms=("HS256",), secrets=(Secret(text=SECRET),))


@pytest.mark.parametrize(
    "segment",
    [
        *(b"", b"QQ", b"QR", b"QQ==", b"QQ=", b"QQ===", b"Q", b"QUI", b"QUI=", b"QUJD" * 40),
        *(b"-_-_", b"+/+/", b"QQ.Q", b"Q Q", b"QQ\n", b"!!!!", b"QUJ\xc3", b"=", b"==", b"Q=Q="),
    ],
)
def test_segments_are_read_as_pyjwt_reads_them(segment: bytes) -> None:
    def read(signatures: jwt.PyJWS) -> bytes | str:
        try:
            return signatures._decode_base64url_segment(segment, "payload")
        except jwt.DecodeError as error:
            return str(error)

    assert read(jwt_verifier._SIGNATURES) == read(jwt.PyJWS())


def altered(token: str) -> list[str]:
    header, payload, signature = token.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    return [
        *(f"{header}.{payload}.", f"{header}.{payload}", f"{header}..{signature}", header, ""),
        *(f"{token}.{signature}", f"{header}.{token}", f"{header}=.{payload}.{signature}"),
        *(f"{none}.{payload}.", f"{header}.{payload}.{'A' * len(signature)}", f"{token}=", token),
    ]


@pytest.mark.parametrize("number", range(12))
def test_with_a_known_header_a_token_is_read_as_pyjwt_reads_it(number: int) -> None:
    def read(signatures: jwt.PyJWS, token: str) -> bytes | type[Exception]:
        try:
            return bytes(signatures.decode(token, SECRET, algorithms=["HS256"]))
        except jwt.InvalidTokenError as error:
            return type(error)

    token, ours = signed(SECRET, "HS256"), jwt_verifier._Signatures()
    ours.decode(token, SECRET, algorithms=["HS256"])
    assert len(ours._headers) == 1
    other = altered(token)[number]
    assert read(ours, other) == read(jwt.PyJWS(), other)


def test_few_headers_are_known() -> None:
    signatures = jwt_verifier._Signatures()
    for number in range(1000):
        kid = "k" * 600 if number % 100 == 99 else str(number)
        token = jwt.encode({}, SECRET, algorithm="HS256", headers={"kid": kid})
        assert signatures.get_unverified_header(token)["kid"] == kid
        assert len(signatures._headers) <= 64
    assert max(map(len, signatures._headers)) < 512


def test_a_remembered_token_is_worth_what_it_is_worth_now() -> None:
    verifier, token = plan_of(HMAC), signed(SECRET, "HS256", name="Ann")
    first = verify(verifier, token)
    assert verify(verifier, token) == first
    assert isinstance(first, Grant)
    late = run_sync(verifier.verify(token, NOW + 100))
    assert late == Denied("token has expired")


def test_a_token_with_another_signature_is_not_the_remembered_one() -> None:
    verifier, token = plan_of(HMAC), signed(SECRET, "HS256")
    assert isinstance(verify(verifier, token), Grant)
    head, payload, signature = token.split(".")
    other = "A" * len(signature)
    assert isinstance(verify(verifier, f"{head}.{payload}.{other}"), Denied)


def test_claims_of_a_remembered_token_are_not_shared() -> None:
    verifier, token = plan_of(HMAC), signed(SECRET, "HS256", teams=["a"])
    first, second = verify(verifier, token), verify(verifier, token)
    assert isinstance(first, Grant)
    assert isinstance(second, Grant)
    first.user.claims["teams"].append("b")
    assert second.user.claims["teams"] == ["a"]


def test_a_remembered_token_is_refused_when_its_key_has_gone() -> None:
    keys = FakeKeySet(late=False)
    keys.refreshed = 1
    verifier = plan_of(JwtAuth(algorithms=("ES256",)), keys=keys)
    token = jwt.encode({"sub": "a", "exp": NOW + 9}, PRIVATE["ES256"], "ES256", {"kid": "k1"})
    assert isinstance(verify(verifier, token), Grant)
    keys.keys.clear()
    assert isinstance(verify(verifier, token), Denied)


def test_few_signatures_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwt_verifier, "REMEMBERED", 2)
    verifier = plan_of(HMAC)
    tokens = [signed(SECRET, "HS256", n=n) for n in range(3)]
    checked: list[str] = []
    decode = jwt_verifier._SIGNATURES.decode

    def counted(token: str, key: Any, algorithms: Any) -> Any:
        checked.append(token)
        return decode(token, key, algorithms)

    monkeypatch.setattr(jwt_verifier._SIGNATURES, "decode", counted)
    for token in (*tokens, tokens[2], tokens[1], tokens[0]):
        assert isinstance(verify(verifier, token), Grant)
    assert checked == [*tokens, tokens[0]]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"[1]", "the payload is not a JSON object"),
        (b"{", "the payload is not JSON"),
        ('{"sub": "a"}'.encode("utf-16"), "the payload is not JSON"),
        (b'{"sub": "a", "x": NaN}', "the payload is not JSON"),
        (b'{"sub": 5}', "sub is not a string"),
        (b'{"sub": "a", "jti": 5}', "jti is not a string"),
        (b'{"sub": "a", "exp": true}', "exp or nbf is not a number"),
    ],
)
def test_payloads_that_are_no_claims(payload: bytes, reason: str) -> None:
    token = jwt.PyJWS().encode(payload, SECRET, "HS256")
    assert verify(plan_of(HMAC), token) == Denied(reason)


def test_a_revoked_token_is_refused_also_when_it_is_remembered() -> None:
    revoked: list[str] = []
    verifier = plan_of(HMAC, is_revoked=lambda user, _claims, _wall: user in revoked)
    token = signed(SECRET, "HS256")
    assert isinstance(verify(verifier, token), Grant)
    revoked.append("ann")
    assert verify(verifier, token) == Denied("token is revoked")
