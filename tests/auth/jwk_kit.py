"""Public keys as JSON Web Keys (RFC 7517), made for the tests."""

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def rsa_jwk(kid: str = "r1", **members: object) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": kid, **members}


def ec_jwk(kid: str = "e1", **members: object) -> dict[str, Any]:
    return {**ECAlgorithm.to_jwk(EC.public_key(), as_dict=True), "kid": kid, **members}


def ed_jwk(kid: str = "o1", **members: object) -> dict[str, Any]:
    return {**OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True), "kid": kid, **members}


def key_set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()
