from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from channeld.auth.jwk import read_keys
from tests.auth.jwk_kit import RSA, ec_jwk, ed_jwk, key_set, rsa_jwk


def test_each_type_of_key_brings_its_algorithms() -> None:
    found = read_keys(key_set(rsa_jwk(), ec_jwk(), ed_jwk()), ["RS256", "PS512", "ES256", "EdDSA"])
    assert [key.algorithms for key in found.keys] == [("RS256", "PS512"), ("ES256",), ("EdDSA",)]
    assert found.skipped == 0


def test_a_keys_own_algorithm_narrows_it() -> None:
    found = read_keys(
        key_set(rsa_jwk(alg="RS512"), ed_jwk(alg="Ed25519")), ["RS256", "RS512", "EdDSA"]
    )
    assert [key.algorithms for key in found.keys] == [("RS512",), ("EdDSA",)]


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "kid": "x"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "x"},
        {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "X25519", "x": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "n": 5, "e": "AQAB"},
        {"kty": ["RSA"]},
        {"kid": "x"},
        "nonsense",
        None,
        rsa_jwk(use="enc"),
        rsa_jwk(key_ops=["sign"]),
        rsa_jwk(key_ops="verify"),
        rsa_jwk(alg="RSA-OAEP"),
        rsa_jwk(alg="HS256"),
        rsa_jwk(alg=["RS256"]),
        {**rsa_jwk(), "kid": 5},
    ],
)
def test_what_cannot_verify_is_skipped(entry: Any) -> None:
    found = read_keys(key_set(entry, ec_jwk()), ["RS256", "ES256", "EdDSA", "HS256"])
    assert [key.kid for key in found.keys] == ["e1"]
    assert found.skipped == 1


def test_a_short_rsa_key_is_skipped() -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    entry = RSAAlgorithm.to_jwk(short.public_key(), as_dict=True)
    assert read_keys(key_set(entry), ["RS256"]).keys == ()


def test_keys_for_other_algorithms_are_skipped() -> None:
    assert [key.kid for key in read_keys(key_set(rsa_jwk(), ec_jwk()), ["ES256"]).keys] == ["e1"]


def test_a_published_private_key_is_held_as_a_public_one() -> None:
    entry = {**RSAAlgorithm.to_jwk(RSA, as_dict=True), "key_ops": ["sign", "verify"]}
    [key] = read_keys(key_set(entry), ["RS256"]).keys
    assert isinstance(key.key, rsa.RSAPublicKey)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"keys":{}}', b"[" * 5000, b"\xff", b"<html>"]
)
def test_what_is_no_set_says_so(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"the (key )?set"):
        read_keys(content, ["RS256"])
