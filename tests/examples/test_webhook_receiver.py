"""The receiver in `examples/webhook_receiver.py`: what it takes, and what it refuses."""

import pytest

from channeld.protocol.standard_webhooks import signed_headers
from tests.webhooks.kit import SECRET, receiver

BODY = b'{"events":[]}'
is_signed = receiver().is_signed


def signed(secret: str = SECRET, moment: int = 1000) -> dict[str, str]:
    return dict(signed_headers(secret, "id", moment, BODY))


@pytest.mark.parametrize("secret", [SECRET, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_it_takes_ours(secret: str) -> None:
    assert is_signed(signed(secret), BODY, [secret], 1000)
    assert is_signed(signed(secret), BODY, ["another", secret], 1299)


def test_it_takes_one_of_several_signatures() -> None:
    both = {**signed(), "webhook-signature": "v1,AAAA " + signed()["webhook-signature"]}
    assert is_signed(both, BODY, [SECRET], 1000)


@pytest.mark.parametrize(
    ("headers", "body", "now"),
    [
        (signed(), BODY + b" ", 1000),
        (signed(), BODY, 1301),
        (signed(), BODY, 699),
        (signed("another"), BODY, 1000),
        ({**signed(), "webhook-timestamp": "1001"}, BODY, 1001),
        ({**signed(), "webhook-id": "other"}, BODY, 1000),
        ({**signed(), "webhook-timestamp": "١٠٠٠"}, BODY, 1000),
        ({**signed(), "webhook-signature": "v1,é"}, BODY, 1000),
        ({**signed(), "webhook-signature": ""}, BODY, 1000),
        ({}, BODY, 1000),
    ],
)
def test_it_refuses_what_is_not_right(headers: dict[str, str], body: bytes, now: float) -> None:
    assert not is_signed(headers, body, [SECRET], now)


def test_it_takes_an_event_once() -> None:
    seen = receiver().Seen(most=2)
    assert [seen.add(id) for id in ("a", "a", "b", "c", "b", "a")] == [1, 0, 1, 1, 0, 1]
