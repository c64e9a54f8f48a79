"""TLS and trusted proxies: what clients notice of them."""

import pytest

from tests.diff.kit import BASE, codes, diff

TLS = "server: {tls: {certificate: a.pem, key: k.pem}}\n"
OTHER = "server: {tls: {certificate: b.pem, key: k.pem}}\n"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("", TLS, [("D408", "breaking")]),
        (TLS, "", [("D408", "breaking")]),
        (TLS, OTHER, []),
    ],
)
def test_tls_changes_the_scheme_of_every_url(
    old: str, new: str, found: list[tuple[str, str]]
) -> None:
    assert codes(BASE + old, BASE + new) == found


def test_a_proxy_that_is_trusted_now_is_a_matter_of_security() -> None:
    both = "server: {trusted_proxies: [10.0.0.0/8, 127.0.0.1]}\n"
    one = "server: {trusted_proxies: [10.0.0.0/8]}\n"
    (added,) = diff(BASE + one, BASE + both)
    (removed,) = diff(BASE + both, BASE + one)
    assert (added.code, added.security) == ("D414", True)
    assert (removed.code, removed.security) == ("D414", False)
    assert "`127.0.0.1/32`" in removed.message
    assert diff(BASE + one, BASE + one) == []


def test_hooks_that_are_skipped_while_their_backend_is_away_are_a_matter_of_security() -> None:
    strict = f"backends: {{app: {{url: 'https://a.example', secret: {'s' * 40}}}}}\n"
    lax = strict.replace("}}", ", on_failure: accept}}")
    (loosened,) = diff(BASE + strict, BASE + lax)
    (tightened,) = diff(BASE + lax, BASE + strict)
    assert (loosened.code, loosened.security) == ("D701", True)
    assert (tightened.code, tightened.security) == ("D701", False)
