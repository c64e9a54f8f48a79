import socket
from pathlib import Path

import click
import pytest

from channeld.cli.binding import bind_nearby, bind_or_explain


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
