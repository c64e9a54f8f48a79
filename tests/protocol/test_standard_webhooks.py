"""Signatures of requests, against the reference library of Standard Webhooks."""

import base64
import json
import time

import pytest
import standardwebhooks

from channeld.protocol.standard_webhooks import signature, signed_headers, signing_key

PLAIN = "a secret of more than thirty-two bytes"
PREFIXED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'


def test_the_signature_is_that_of_the_specification_s_example() -> None:
    found = signature(PREFIXED, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_plain_secret_is_the_key_as_it_stands() -> None:
    key = base64.b64encode(PLAIN.encode()).decode()
    assert signature(PLAIN, "m", 5, b"x") == signature(f"whsec_{key}", "m", 5, b"x")


@pytest.mark.parametrize("secret", [PREFIXED, PLAIN])
def test_the_reference_library_takes_the_headers(secret: str) -> None:
    library = standardwebhooks.Webhook(base64.b64encode(signing_key(secret)).decode())
    headers = dict(signed_headers(secret, "m", int(time.time()), BODY))
    assert library.verify(BODY, headers) == json.loads(BODY)


@pytest.mark.parametrize(
    "change", [{"webhook-id": "n"}, {"webhook-timestamp": "1"}, {"webhook-signature": "v1,AAAA"}]
)
def test_the_reference_library_refuses_what_was_changed(change: dict[str, str]) -> None:
    library = standardwebhooks.Webhook(PREFIXED)
    headers = dict(signed_headers(PREFIXED, "m", int(time.time()), BODY))
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        library.verify(BODY, {**headers, **change})


@pytest.mark.parametrize("secret", ["whsec_not base64", "whsec_AAAA!AAAA"])
def test_what_says_base64_and_is_not_makes_no_key(secret: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        signing_key(secret)
