"""Rules about public keys: they must be usable with the algorithms."""

import re
from typing import Final

import attrs

from channeld.config.language import joined
from channeld.config.model import Config, JwtAuth
from channeld.config.rules.evidence import Findings, authenticators, finding
from channeld.config.source import Sources
from channeld.diagnostics.diagnostic import Severity
from channeld.pointer import at

# RFC 7518 section 3.4 and RFC 8812 section 3.2.
_CURVES: Final = {
    "ES256": "secp256r1",
    "ES256K": "secp256k1",
    "ES384": "secp384r1",
    "ES512": "secp521r1",
}
_PATH: Final = re.compile(r"[\w./~-]{1,200}\.(?:pem|pub|key|crt|cer)")
_KEY_TYPES: Final = {"RSA": "RSA", "EC": "EC", "Ed25519": "OKP"}


def key_unusable(config: Config, sources: Sources) -> Findings:
    """CH432: not a key, a private key, or one of the wrong type for the algorithms; CH124: a missing key set file."""
    for name, auth in authenticators(config, JwtAuth):
        known = [wanted for algorithm in auth.algorithms if (wanted := _wanted(algorithm))]
        if known and auth.jwks is not None and auth.jwks.file is not None:
            yield from _key_set(auth.jwks.file, name, known, sources)
        if auth.public_key is None or not known:
            continue
        message, help = _key_problem(auth.public_key, name, known)
        if message:
            yield finding("CH432", message, sources, at("/auth", name, "public_key"), help)


def _key_set(file: str, name: str, wanted: list[str], sources: Sources) -> Findings:
    pointer = at("/auth", name, "jwks", "file")
    tree = sources.read_document(file)
    sources.veil(file)
    if (reason := sources.unreadable.get(file)) is not None:
        # Only a warning: the file is read again while the server runs, and may appear later.
        help = "until it is there, clients get `UNAVAILABLE`"
        found = finding("CH124", f"`{file}` cannot be used: {reason}", sources, pointer, help)
        yield attrs.evolve(found, severity=Severity.WARNING)
        return
    if tree is None:
        return
    keys = tree.value.get("keys") if isinstance(tree.value, dict) else None
    held = keys if isinstance(keys, list) else []
    types = [key.get("kty") for key in held if isinstance(key, dict)]
    # An empty set may be filled while the server runs.
    if keys != [] and not any(_KEY_TYPES[one.split()[0]] in types for one in wanted):
        message = (
            f"the key set `{file}` of `{name}` has no key for {joined(list(dict.fromkeys(wanted)))}"
        )
        help = 'it is JSON such as `{"keys": [{"kty": "RSA", "kid": …, "n": …, "e": …}]}`'
        yield finding("CH432", message, sources, pointer, help)


def _wanted(algorithm: str) -> str:
    """The type of key that an algorithm needs; empty for HMAC and unknown algorithms."""
    if algorithm[:2] in ("RS", "PS"):
        return "RSA"
    if algorithm in _CURVES:
        return f"EC {_CURVES[algorithm]}"
    return "Ed25519 or Ed448" if algorithm == "EdDSA" else ""


def _key_problem(pem: str, name: str, wanted: list[str]) -> tuple[str, str]:
    if "PRIVATE KEY-----" in pem:
        message = f"the `public_key` of `{name}` is a private key"
        return message, "use the public key: `openssl pkey -in key.pem -pubout`"
    kind = _kind(pem)
    kinds = list(dict.fromkeys(wanted))
    if not kind:
        message = f"the `public_key` of `{name}` is not a PEM-encoded public key"
        if _PATH.fullmatch(pem.strip()):
            return message, f"write `public_key: {{file: {pem.strip()}}}` for a file"
        return message, "it starts with `-----BEGIN PUBLIC KEY-----`"
    if not any(kind in one for one in kinds):
        message = f"the `public_key` of `{name}` is {kind}; `algorithms` need {joined(kinds)}"
        return message, "use the key that the tokens are signed with, or change `algorithms`"
    return "", ""


def _kind(pem: str) -> str:
    """The type of a key; empty if it can't be read."""
    # Imported late: few configurations have a key, and this takes as long as reading the rest.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    try:
        key = load_pem_public_key(pem.encode("utf-8", "surrogatepass"))
    except (ValueError, UnsupportedAlgorithm):
        return ""
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519"
    return "Ed448" if isinstance(key, ed448.Ed448PublicKey) else type(key).__name__
