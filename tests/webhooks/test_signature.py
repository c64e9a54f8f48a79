import pytest

from channeld.webhooks.signature import sign
from tests.webhooks.kit import SECRET, receiver

BODY = b'{"events":[]}'
is_signed = receiver().is_signed


def test_the_value_is_what_openssl_makes() -> None:
    # printf '1700000000.{}' | openssl dgst -sha256 -hmac key
    digest = "9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
    assert sign("key", 1_700_000_000, b"{}") == f"t=1700000000,v1={digest}"


def test_the_receiver_takes_it() -> None:
    assert is_signed(sign(SECRET, 1000, BODY), BODY, [SECRET], 1000)
    assert is_signed(sign(SECRET, 1000, BODY), BODY, ["another", SECRET], 1299)


@pytest.mark.parametrize(
    ("header", "body", "now"),
    [
        (sign(SECRET, 1000, BODY), BODY + b" ", 1000),
        (sign(SECRET, 1000, BODY), BODY, 1301),
        (sign(SECRET, 1000, BODY), BODY, 699),
        (sign("another", 1000, BODY), BODY, 1000),
        (sign(SECRET, 1000, BODY).replace("t=1000", "t=1001"), BODY, 1001),
        ("", BODY, 1000),
        ("t=1000", BODY, 1000),
        ("t=١٠٠٠,v1=é", BODY, 1000),
        ("t=1000,t=1000,v1=00", BODY, 1000),
    ],
)
def test_the_receiver_refuses_what_is_not_right(header: str, body: bytes, now: float) -> None:
    assert not is_signed(header, body, [SECRET], now)


def test_the_receiver_takes_an_event_once() -> None:
    seen = receiver().Seen(most=2)
    assert [seen.add(id) for id in ("a", "a", "b", "c", "b", "a")] == [1, 0, 1, 1, 0, 1]
