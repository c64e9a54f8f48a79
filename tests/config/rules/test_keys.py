from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from channeld.config.load import Loaded

Load = Callable[..., Loaded]

BASE = """\
channeld: 1
auth: {s: {type: jwt, audience: a, algorithms: [ALGORITHM], public_key: {file: key.pem}}}
channels: {c: {path: /c, description: One., auth: s, events: {e: {}}}}
"""
PRIVATE: dict[str, Any] = {
    "RSA": rsa.generate_private_key(65537, 2048),
    "EC secp256r1": ec.generate_private_key(ec.SECP256R1()),
    "EC secp521r1": ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
}


def public(kind: str) -> bytes:
    key = PRIVATE[kind].public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem: bytes = key.public_bytes(serialization.Encoding.PEM, form)
    return pem


def told(load_config: Load, algorithm: str, pem: bytes) -> list[str]:
    loaded = load_config(BASE.replace("ALGORITHM", algorithm), files={"conf/key.pem": pem.decode()})
    return [d.message for d in loaded.report if d.code == "CH432"]


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        ("RS256", "RSA"),
        ("PS512", "RSA"),
        ("ES256", "EC secp256r1"),
        ("ES512", "EC secp521r1"),
        ("EdDSA", "Ed25519"),
    ],
)
def test_a_key_of_the_algorithm_s_kind_is_fine(
    load_config: Load, algorithm: str, kind: str
) -> None:
    assert told(load_config, algorithm, public(kind)) == []


@pytest.mark.parametrize(
    ("algorithm", "kind", "needed"),
    [
        ("RS256", "EC secp256r1", "RSA"),
        ("ES256", "EC secp521r1", "EC secp256r1"),
        ("ES256", "Ed25519", "EC secp256r1"),
        ("EdDSA", "RSA", "Ed25519 or Ed448"),
    ],
)
def test_a_key_of_another_kind_is_refused(
    load_config: Load, algorithm: str, kind: str, needed: str
) -> None:
    (message,) = told(load_config, algorithm, public(kind))
    assert message == f"the `public_key` of `s` is {kind}; `algorithms` need {needed}"


def test_what_is_no_public_key_is_refused(load_config: Load) -> None:
    assert told(load_config, "RS256", b"nonsense") == [
        "the `public_key` of `s` is not a PEM-encoded public key"
    ]
    private = PRIVATE["RSA"].private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    assert told(load_config, "RS256", private) == ["the `public_key` of `s` is a private key"]


@pytest.mark.parametrize(
    ("held", "found"),
    [
        (None, [("CH124", "warning")]),
        ("nonsense", [("CH432", "error")]),
        ('{"keys": {}}', [("CH432", "error")]),
        ('{"keys": []}', []),
        ('{"keys": [{"kty": "oct", "k": "AAAA"}, {"kty": ["RSA"]}]}', [("CH432", "error")]),
        ('{"keys": [{"kty": "EC"}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}', []),
    ],
)
def test_a_file_of_keys_has_one_for_the_algorithms(
    load_config: Load, held: str | None, found: list[tuple[str, str]]
) -> None:
    text = BASE.replace("ALGORITHM", "RS256").replace("public_key", "jwks").replace("pem", "json")
    files = {} if held is None else {"conf/key.json": held}
    report = load_config(text, files=files).report
    assert [(d.code, str(d.severity)) for d in report] == found


@pytest.mark.parametrize("algorithms", ["[HS256]", "[RS256]", "[none]", "[]"])
def test_nothing_verifies_without_a_key(load_config: Load, algorithms: str) -> None:
    text = BASE.replace("[ALGORITHM], public_key: {file: key.pem}", algorithms)
    assert load_config(text).report.errors
