"""The client in Node, with both kinds of WebSocket there and with none, against the real server."""

import contextlib

import pytest

from tests.export.client_kit import Line, Site, program
from tests.export.client_scenarios import SCENARIOS, Reporter, Scenario
from tests.npm_parts import npm_folder

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("socket", ["built-in", "ws", "none"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_scenario(site: Site, scenario: Scenario, socket: str) -> None:
    own = "const { WebSocket } = globalThis;"
    if socket == "ws":
        own = f'import WebSocket from "{npm_folder() / "ws" / "wrapper.mjs"}";'
    if socket == "none":
        own = "const WebSocket = (globalThis.WebSocket = undefined);"
    with contextlib.ExitStack() as stack:
        line = stack.enter_context(contextlib.closing(Line(site.port)))

        def start(text: str) -> Reporter:
            return stack.enter_context(program(site.folder, text, own))

        scenario(site, line, start)
