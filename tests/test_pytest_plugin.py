"""The plugin's fixtures, as a hook author's tests use them."""

from typing import Any

import pytest

pytest_plugins = ["pytester"]

CONFIG = "channeld: 1\nchannels: {c: {path: /c, auth: none, messages: {m: {schema: true, route: sender}}}}\n"
TEST = """
async def test_echo(channeld_app):
    client = await channeld_app.connect("/c")
    await client.send({"type": "m"})
    assert await client.receive() == {"type": "m"}

async def test_other(channeld_running):
    async with channeld_running("other.yaml") as app:
        assert (await app.connect("/c")).closed is None
"""


def test_app_of_the_projects_configuration(pytester: Any) -> None:
    pytester.makefile(".yaml", channels=CONFIG, other=CONFIG)
    pytester.makepyfile(TEST)
    pytester.makeini("[pytest]\ntrio_mode = true\n")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


@pytest.mark.parametrize("name", ["other.yaml"])
def test_configuration_may_have_another_name(pytester: Any, name: str) -> None:
    pytester.makefile(".yaml", other=CONFIG)
    pytester.makepyfile(TEST)
    pytester.makeini(f"[pytest]\ntrio_mode = true\nchanneld_config = {name}\n")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)
