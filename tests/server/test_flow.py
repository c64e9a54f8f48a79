"""What the kernel tells of a peer's progress, and what it tells where it cannot."""

import socket

import pytest

from channeld.server.flow import UNKNOWN, Flow, flow_of


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    return near, far


def fill(sock: socket.socket) -> None:
    sock.setblocking(False)
    try:
        while True:
            sock.send(bytes(65536))
    except BlockingIOError:
        return


def drain(sock: socket.socket) -> None:
    sock.setblocking(False)
    try:
        while True:
            sock.recv(1 << 20)
    except BlockingIOError:
        return


@pytest.mark.parametrize("make", [tcp_pair, socket.socketpair])
def test_a_peer_that_reads_is_seen_and_one_that_does_not_is_too(make: object) -> None:
    near, far = make()  # type: ignore[operator]
    with near, far:
        fill(near)
        stuck = flow_of(near)
        assert stuck.waiting > 0
        assert flow_of(near).taken == stuck.taken
        drain(far)
        while flow_of(near).taken == stuck.taken:
            drain(far)
        assert flow_of(near).waiting < stuck.waiting


def test_a_socket_that_is_closed_tells_nothing() -> None:
    near, far = tcp_pair()
    near.close()
    far.close()
    assert flow_of(near) == UNKNOWN == Flow(0, 0)


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = tcp_pair()
    with near, far:
        near.send(b"x")
        monkeypatch.delattr(socket, "TCP_INFO")
        assert flow_of(near).taken == 0
