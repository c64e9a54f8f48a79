import pytest

from channeld.config.reachable import is_every_interface, reachable


@pytest.mark.parametrize(
    ("bound", "address"),
    [
        (":4001", "127.0.0.1:4001"),
        ("0.0.0.0:4001", "127.0.0.1:4001"),
        ("[::]:4001", "[::1]:4001"),
        ("[::1]:4001", "[::1]:4001"),
        ("127.0.0.1:4001", "127.0.0.1:4001"),
        ("chat.internal:80", "chat.internal:80"),
        ("unix:/run/channeld.sock", "unix:/run/channeld.sock"),
        ("unix:", "unix:"),
    ],
)
def test_every_interface_is_reached_on_the_nearest(bound: str, address: str) -> None:
    assert reachable(bound) == address


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::"])
def test_hosts_that_stand_for_every_interface(host: str) -> None:
    assert is_every_interface(host)
    assert not is_every_interface("127.0.0.1")
