"""Offers of permessage-deflate, and what is made of them."""

import pytest

from channeld.server.transports.extensions import Deflate, negotiate


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", "permessage-deflate; server_max_window_bits=12"),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            'permessage-deflate; client_max_window_bits="10"; server_max_window_bits=9',
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
        ),
        (
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            (
                "permessage-deflate; server_max_window_bits=12; server_no_context_takeover; "
                "client_no_context_takeover"
            ),
        ),
        ("x-webkit-frame, permessage-deflate", "permessage-deflate; server_max_window_bits=12"),
        (
            "permessage-deflate; server_max_window_bits=8, permessage-deflate",
            "permessage-deflate; server_max_window_bits=12",
        ),
    ],
)
def test_an_offer_is_accepted(offer: str, answer: str) -> None:
    accepted = negotiate(offer)
    assert accepted is not None
    assert accepted.field() == answer


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "x-webkit-frame",
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=1",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=012",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; =",
        "permessage-deflate;",
        'permessage-deflate; server_max_window_bits="12',
        "permessage-deflate\xff",
    ],
)
def test_an_offer_is_declined(offer: str) -> None:
    assert negotiate(offer) is None


def test_a_client_that_cannot_bound_its_window_is_not_asked_to() -> None:
    accepted = negotiate("permessage-deflate")
    assert accepted == Deflate(client_max_window_bits=None)


def test_a_client_with_the_smallest_window_is_taken() -> None:
    accepted = negotiate("permessage-deflate; client_max_window_bits=8")
    assert accepted == Deflate(client_max_window_bits=8)
