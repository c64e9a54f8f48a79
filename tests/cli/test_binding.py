import socket
from pathlib import Path
from threading import Thread

import click
import pytest

from channeld.cli.binding import bind_nearby, bind_or_explain, is_left


def taken() -> tuple[socket.socket, int]:
    sock = socket.create_server(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]


def test_a_free_address_is_taken_as_it_is(tmp_path: Path) -> None:
    sockets, moved = bind_nearby(["127.0.0.1:0", f"unix:{tmp_path / 's'}"])
    for sock in sockets:
        sock.close()
    assert (len(sockets), moved) == (2, [])


def test_a_taken_port_moves_on() -> None:
    other, port = taken()
    with other:
        (sock,), moved = bind_nearby([f"127.0.0.1:{port}"])
        with sock:
            now = sock.getsockname()[1]
            assert now != port
            assert moved == [(f"127.0.0.1:{port}", f"127.0.0.1:{now}")]


def test_what_is_not_taken_but_wrong_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="Cannot listen on unix:"):
        bind_nearby([f"unix:{tmp_path / 'gone' / 's'}"])


def test_a_taken_port_is_explained() -> None:
    other, port = taken()
    with other, pytest.raises(click.ClickException, match="Is another server running") as caught:
        bind_or_explain([f"127.0.0.1:{port}"])
    assert "--bind HOST:PORT" in caught.value.message
    assert "make run BIND=" in caught.value.message


def test_another_reason_gets_no_such_advice(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException) as caught:
        bind_or_explain([f"unix:{tmp_path / 'gone' / 's'}"])
    assert "another server" not in caught.value.message


@pytest.mark.parametrize(
    ("answer", "leaves"),
    [
        (b'HTTP/1.1 503 Service Unavailable\r\n\r\n{"detail": "draining"}', True),
        (b'HTTP/1.1 503 Service Unavailable\r\n\r\n{"detail": "broker away"}', False),
        (b"HTTP/1.1 200 OK\r\n\r\ndraining", False),
        (b"", False),
    ],
)
def test_an_api_that_drains_leaves_its_address(answer: bytes, leaves: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            sock, _ = server.accept()
            with sock:
                sock.recv(4096)
                sock.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        assert is_left(f"127.0.0.1:{server.getsockname()[1]}") is leaves
        thread.join()


def test_where_nobody_answers_nobody_leaves(tmp_path: Path) -> None:
    assert not is_left(f"unix:{tmp_path}/nobody")
    assert not is_left("127.0.0.1:0")
