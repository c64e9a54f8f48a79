"""Masking keys: both ways to take them off agree with a loop over the bytes, and the slow one is always there."""

import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channeld.protocol.masking import Unmask, find_accelerated, unmask, unmask_plainly

WAYS: list[Unmask] = [unmask, unmask_plainly]
KEYS = st.binary(min_size=4, max_size=4)


@pytest.mark.parametrize("way", WAYS)
@given(st.binary(max_size=300) | st.binary(min_size=1390, max_size=1410), KEYS)
@example(b"", b"abcd")
@example(bytes(range(256)) * 300, b"\x00\xff\x01\x80")
def test_each_way_is_the_loop_over_the_bytes(way: Unmask, payload: bytes, key: bytes) -> None:
    assert way(payload, key) == bytes(byte ^ key[i & 3] for i, byte in enumerate(payload))


def test_where_websockets_is_installed_its_c_is_taken() -> None:
    pytest.importorskip("websockets.speedups")
    assert unmask is not unmask_plainly
    assert find_accelerated() is not None


@pytest.mark.parametrize("package", ["nothing_of_this_name", "json", "sys"])
def test_where_it_is_not_installed_there_is_none(package: str) -> None:
    assert find_accelerated(package) is None


def test_a_broken_extension_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.machinery import EXTENSION_SUFFIXES

    folder = tmp_path / "websockets_broken"
    folder.mkdir()
    folder.joinpath("__init__.py").touch()
    folder.joinpath(f"speedups{EXTENSION_SUFFIXES[0]}").write_bytes(b"no library")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert find_accelerated("websockets_broken") is None
    assert "websockets_broken" not in sys.modules
