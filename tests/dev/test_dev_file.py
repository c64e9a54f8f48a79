import json
import os
import stat
from pathlib import Path

import attrs
import pytest

from channeld.dev.dev_file import DevServer, read, remove, write

OURS = DevServer(
    pid=os.getpid(),
    url="ws://127.0.0.1:4000",
    api_url="http://127.0.0.1:4001",
    key="k" * 32,
    secrets={"A_SECRET": "made-up"},
)


def test_a_server_is_found_by_its_file(tmp_path: Path) -> None:
    path = write(tmp_path, OURS)
    assert read(tmp_path) == OURS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (tmp_path / ".channeld" / ".gitignore").read_text() == "*\n"
    assert sorted(p.name for p in path.parent.iterdir()) == [".gitignore", "dev.json"]


def test_it_is_written_again_over_an_old_one(tmp_path: Path) -> None:
    write(tmp_path, attrs.evolve(OURS, key="old"))
    write(tmp_path, OURS)
    assert read(tmp_path) == OURS


def test_no_file_is_no_server(tmp_path: Path) -> None:
    assert read(tmp_path) is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o700])
def test_a_file_that_others_can_read_is_not_believed(tmp_path: Path, mode: int) -> None:
    write(tmp_path, OURS).chmod(mode)
    assert read(tmp_path) is None


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    path = write(tmp_path, OURS)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert read(tmp_path) is None


def test_a_process_that_has_ended_serves_nothing(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    write(tmp_path, attrs.evolve(OURS, pid=pid))
    assert read(tmp_path) is None


@pytest.mark.parametrize(
    "change",
    [
        {"url": "ws://example.com:4000"},
        {"api_url": "http://10.0.0.1:4001"},
        {"api_url": "http://[::1"},
        {"pid": "1"},
        {"pid": -1},
        {"secrets": []},
        {"key": None},
        {"more": 1},
    ],
)
def test_what_is_not_of_this_machine_or_malformed_is_not_believed(
    tmp_path: Path, change: dict[str, object]
) -> None:
    path = write(tmp_path, OURS)
    path.write_text(json.dumps({**attrs.asdict(OURS), **change}))
    assert read(tmp_path) is None


def test_text_that_is_not_json_is_not_believed(tmp_path: Path) -> None:
    write(tmp_path, OURS).write_text("nonsense")
    assert read(tmp_path) is None


def test_it_is_removed_by_its_own_process_only(tmp_path: Path) -> None:
    path = write(tmp_path, OURS)
    remove(tmp_path, OURS.pid + 1)
    assert path.exists()
    remove(tmp_path, OURS.pid)
    assert not path.exists()
    remove(tmp_path, OURS.pid)


def test_secrets_are_not_shown() -> None:
    assert "made-up" not in repr(OURS)
    assert OURS.key not in repr(OURS)


def test_a_url_is_of_the_server_or_not() -> None:
    assert OURS.is_at("ws://127.0.0.1:4000/chat")
    assert not OURS.is_at("ws://127.0.0.1:40001/chat")
    assert not DevServer(pid=1).is_at("/chat")


def test_of_two_servers_the_later_is_found_and_then_the_earlier_again(tmp_path: Path) -> None:
    earlier = attrs.evolve(OURS, pid=os.getppid())
    write(tmp_path, earlier)
    write(tmp_path, OURS)
    assert read(tmp_path) == OURS
    remove(tmp_path, OURS.pid)
    assert read(tmp_path) == earlier
    remove(tmp_path, earlier.pid)
    assert [path.name for path in tmp_path.joinpath(".channeld").iterdir()] == [".gitignore"]


def test_an_earlier_server_that_has_ended_meanwhile_is_not_found(tmp_path: Path) -> None:
    earlier = attrs.evolve(OURS, pid=os.getppid())
    write(tmp_path, earlier)
    write(tmp_path, OURS)
    remove(tmp_path, earlier.pid)
    assert read(tmp_path) == OURS
    # One that was killed leaves its file behind.
    tmp_path.joinpath(".channeld", "dev.json.7").write_text('{"pid": 2147483647}')
    remove(tmp_path, OURS.pid)
    assert [path.name for path in tmp_path.joinpath(".channeld").iterdir()] == [".gitignore"]
