from channeld.webhooks.signature import sign


def test_the_value_is_what_openssl_makes() -> None:
    # printf '1700000000.{}' | openssl dgst -sha256 -hmac key
    digest = "9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
    assert sign("key", 1_700_000_000, b"{}") == f"t=1700000000,v1={digest}"
