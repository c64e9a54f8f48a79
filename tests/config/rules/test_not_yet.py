from collections.abc import Callable

import pytest

from channeld.config.load import Loaded

Load = Callable[..., Loaded]

BASE = """\
channeld: 1
channels:
  room: {path: /room, description: d, auth: none, events: {}}
"""


@pytest.mark.parametrize(
    ("top", "path"),
    [
        (
            "webhooks: [{url: https://a.example, secret: '${SENSOR_TOKEN}', events: [left]}]",
            "/webhooks",
        ),
    ],
)
def test_what_is_not_available_is_refused_once(load_config: Load, top: str, path: str) -> None:
    loaded = load_config(f"{BASE}{top}\n")
    assert [(d.code, d.place.path) for d in loaded.report] == [("CH710", path)]


@pytest.mark.parametrize(
    "top",
    [
        "broker: memory",
        "broker: valkey",
        "broker: {redis: {url: redis://localhost}}",
        "broker: valkey\nserver: {workers: 2}",
        "api: {keys: '${CHANNELD_JWT_SECRET}'}",
        "webhooks: []",
    ],
)
def test_what_is_available_is_not_refused(load_config: Load, top: str) -> None:
    assert list(load_config(f"{BASE}{top}\n").report) == []
