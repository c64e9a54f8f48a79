import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from channeld.testing import TestApp

YAML = """
channeld: 1
channels:
  a: {path: /a, auth: none, messages: {say: {schema: true, route: sender}}}
"""
TEST = """
async def test_it(channeld_app):
    client = await channeld_app.connect("/a")
    await client.send({"type": "say", "n": 1})
    assert await client.receive() == {"type": "say", "n": 1}
"""


async def test_the_fixture_runs_the_projects_configuration(channeld_app: TestApp) -> None:
    ann = await channeld_app.connect("/rooms/general", user="ann", claims={"name": "Ann"})
    await ann.send({"type": "message", "text": "hi"})
    assert (await ann.receive("message"))["from"] == "ann"


async def test_a_test_may_run_several(
    channeld_running: Callable[..., AbstractAsyncContextManager[TestApp]], tmp_path: Path
) -> None:
    tmp_path.joinpath("one.yaml").write_text(YAML)
    async with (
        channeld_running(tmp_path / "one.yaml") as one,
        channeld_running(tmp_path / "one.yaml") as other,
    ):
        client = await one.connect("/a")
        assert len(one.engine.sessions) == 1
        assert other.engine.sessions == {}
        await client.close()


def test_the_ini_file_names_another_configuration(tmp_path: Path) -> None:
    tmp_path.joinpath("pytest.ini").write_text(
        "[pytest]\ntrio_mode = true\nchanneld_config = sub/other.yaml\n"
    )
    tmp_path.joinpath("sub").mkdir()
    tmp_path.joinpath("sub", "other.yaml").write_text(YAML)
    tmp_path.joinpath("test_it.py").write_text(TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
