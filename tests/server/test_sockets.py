"""Binding, sharing an address with a running server, and giving it up without refusing anybody."""

import contextlib
import os
import socket
import stat
from pathlib import Path

import pytest

from channeld.server.sockets import (
    HANDSHAKE_S,
    BindError,
    bind,
    is_shared,
    listen,
    named,
    release,
    retire,
)
from channeld.server.systemd import InheritedSocket


def close_all(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def test_several_addresses_are_bound() -> None:
    sockets = bind(["127.0.0.1:0", "[::1]:0", "localhost:0"])
    assert {sock.family for sock in sockets} == {socket.AF_INET, socket.AF_INET6}
    assert len(sockets) >= 3
    close_all(sockets)


def test_the_ipv6_wildcard_takes_ipv4_as_well() -> None:
    with contextlib.ExitStack() as stack:
        [listening] = bind(["[::]:0"])
        stack.enter_context(listening)
        port = listening.getsockname()[1]
        for host in ("::1", "127.0.0.1"):
            stack.enter_context(socket.create_connection((host, port), 5))


def test_ipv4_may_have_the_port_for_itself() -> None:
    with bind(["127.0.0.1:0"])[0] as probe:
        port = probe.getsockname()[1]
    opened = bind([f"[::]:{port}", f"127.0.0.1:{port}"])
    try:
        assert [sock.family for sock in opened] == [socket.AF_INET6, socket.AF_INET]
    finally:
        for sock in opened:
            sock.close()


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "", ":²"]
)
def test_a_malformed_address_is_named(address: str) -> None:
    with pytest.raises(BindError, match="expected HOST:PORT or unix:PATH") as raised:
        bind([address])
    assert address in str(raised.value)


def test_a_taken_port_is_named_and_nothing_stays_bound() -> None:
    (taken,) = bind(["127.0.0.1:0"])
    (free,) = bind(["127.0.0.1:0"])
    addresses = [f"127.0.0.1:{sock.getsockname()[1]}" for sock in (free, taken)]
    free.close()
    with pytest.raises(BindError, match=f"{addresses[1]}: Address already in use"):
        bind(addresses)
    close_all(bind([addresses[0]]))
    taken.close()


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(BindError, match=r"192\.0\.2\.1:4000: Cannot assign"):
        bind(["192.0.2.1:4000"])


def test_processes_may_share_a_port() -> None:
    (first,) = bind(["127.0.0.1:0"], beside=True)
    second = bind([f"127.0.0.1:{first.getsockname()[1]}"], beside=True)
    close_all([first, *second])


def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    (first,) = bind([f"unix:{path}"])
    first.close()
    assert path.is_socket()
    (second,) = bind([f"unix:{path}"])
    with pytest.raises(BindError, match="Address already in use"):
        bind([f"unix:{path}"])
    second.close()


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(BindError, match="Address already in use"):
        bind([f"unix:{path}"])
    assert path.read_text() == "precious"


# ---------------------------------------------------------------------------------------------------- beside another


def accepted(listener: socket.socket) -> int:
    """How many connections waited; they are closed."""
    listener.setblocking(False)
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            count += 1
    return count


def connect(stack: contextlib.ExitStack, where: tuple[str, int], count: int) -> None:
    """Begin connections; on this machine a handshake is over when the call returns, unless its SYN was dropped."""
    for _ in range(count):
        sock = stack.enter_context(socket.socket())
        sock.setblocking(False)
        sock.connect_ex(where)


def test_one_beside_another_gets_connections_once_it_listens() -> None:
    with contextlib.ExitStack() as stack:
        [old] = bind(["127.0.0.1:0"])
        [new] = bind([named(old)], beside=True, listens=False)
        stack.callback(close_all, [old, new])
        connect(stack, old.getsockname(), 30)
        assert accepted(old) == 30
        listen(new)
        connect(stack, old.getsockname(), 60)
        counts = accepted(old), accepted(new)
        assert sum(counts) == 60
        assert min(counts) > 0


def test_one_that_does_not_ask_is_told_that_the_address_is_in_use() -> None:
    [first] = bind(["127.0.0.1:0"])
    second = bind([named(first)], beside=True)
    with pytest.raises(BindError, match="Address already in use"):
        bind([named(first)])
    close_all([first, *second])


def test_what_is_not_channeld_cannot_be_taken_over_from() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(BindError, match="Address already in use"),
    ):
        bind([f"127.0.0.1:{other.getsockname()[1]}"], beside=True)


def test_a_retired_listener_gets_what_had_begun_and_nothing_new() -> None:
    with contextlib.ExitStack() as stack:
        [old] = bind(["127.0.0.1:0"])
        where = old.getsockname()
        connect(stack, where, 3)
        assert retire(old) == HANDSHAKE_S
        [new] = bind([named(old)], beside=True)
        stack.callback(close_all, [old, new])
        connect(stack, where, 40)
        assert accepted(old) == 3
        assert accepted(new) > 0
        old.close()
        connect(stack, where, 5)
        assert accepted(new) >= 5


def test_a_socket_of_systemd_is_never_retired() -> None:
    with contextlib.ExitStack() as stack:
        [held] = bind(["127.0.0.1:0"])
        passed = InheritedSocket(fileno=os.dup(held.fileno()))
        stack.callback(close_all, [held, passed])
        assert retire(passed) == 0
        connect(stack, held.getsockname(), 2)
        assert accepted(held) == 2


def test_a_unix_socket_is_taken_over_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "s"
    [old] = bind([f"unix:{path}"])
    path.chmod(0o660)
    [new] = bind([f"unix:{path}"], beside=True, listens=False)
    assert accepted(old) == 1  # who looked whether anybody listens
    with contextlib.ExitStack() as stack:

        def come() -> None:
            stack.enter_context(socket.socket(socket.AF_UNIX)).connect(str(path))

        come()
        listen(new)
        come()
        assert (accepted(old), accepted(new)) == (1, 1)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        release(old)
        come()
        assert accepted(new) == 1
    assert named(new) == f"unix:{path}"
    release(new)
    assert list(tmp_path.iterdir()) == []


def test_a_successor_that_never_listened_leaves_the_path_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    [old] = bind([f"unix:{path}"])
    [new] = bind([f"unix:{path}"], beside=True, listens=False)
    release(new)
    assert [one.name for one in tmp_path.iterdir()] == ["s"]
    release(old)


def test_another_users_unix_socket_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [old] = bind([f"unix:{tmp_path / 's'}"])
    monkeypatch.setattr("os.geteuid", lambda: 4_000_000)
    with pytest.raises(BindError, match="belongs to another user"):
        bind([f"unix:{tmp_path / 's'}"], beside=True)
    old.close()


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0"])
def test_it_is_seen_when_another_one_listens_there(address: str) -> None:
    (first,) = bind([address])
    with first:
        (second,) = bind([named(first)], beside=True, listens=False)
        with second:
            assert not is_shared(first)
            listen(second)
            assert is_shared(first)
        assert not is_shared(first)


def test_it_is_seen_when_a_unix_sockets_path_is_another_ones(tmp_path: Path) -> None:
    (first,) = bind([f"unix:{tmp_path}/s"])
    (second,) = bind([f"unix:{tmp_path}/s"], beside=True, listens=False)
    with first, second:
        assert not is_shared(first)
        listen(second)
        assert is_shared(first)
        release(second)
