"""The model from a mapping in its own form: strictly, nothing coerced."""

from typing import Any

import cattrs
import pytest

from channeld.config.model import Config, JwtAuth, Rate, RedisBroker, Secret
from channeld.config.structure import make_model

CHANNEL = {"name": "a", "path": "/a", "auth": {"names": []}}


def test_nothing_gives_the_defaults() -> None:
    assert make_model({}) == Config()


def test_lists_become_tuples_and_json_stays_as_it_is() -> None:
    schema = {"enum": [1, [2, None]]}
    message = {"schema": schema, "examples": [{"a": [1]}], "emit": {"x": [1]}}
    config = make_model({"channels": {"a": {**CHANNEL, "messages": {"say": message}}}})
    made = config.channels["a"].messages["say"]
    assert made.schema == schema
    assert made.examples == ({"a": [1]},)
    assert made.emit == {"x": [1]}


def test_unions() -> None:
    auth = {"type": "jwt", "algorithms": ["HS256"], "secrets": [Secret(text="x")]}
    config = make_model(
        {
            "auth": {"s": auth},
            "broker": {"urls": ["redis://a"]},
            "server": {"allowed_origins": ["https://a"]},
        }
    )
    assert config.auth["s"] == JwtAuth(algorithms=("HS256",), secrets=(Secret(text="x"),))
    assert config.broker == RedisBroker(urls=("redis://a",))
    assert config.server.allowed_origins == ("https://a",)
    assert make_model({"broker": "valkey"}).broker == "valkey"


def test_twice_the_same_gives_the_same() -> None:
    clean = {"auth": {"s": {"type": "hook", "hook": {"call": "m:f"}}}}
    assert make_model(clean) == make_model(clean)


@pytest.mark.parametrize(
    "clean",
    [
        {"serve": {}},
        {"server": {"workers": "2"}},
        {"server": {"workers": True}},
        {"server": {"compression": 1}},
        {"server": {"drain": "10s"}},
        {"server": {"bind": [5]}},
        {"log": {"level": "loud"}},
        {"hooks": {"path": 5}},
        {"channels": {"a": {"name": "a"}}},
        {"server": {"limits": {"messages": "10/s"}}},
    ],
)
def test_nothing_is_coerced_and_nothing_ignored(clean: dict[str, Any]) -> None:
    with pytest.raises(cattrs.BaseValidationError):
        make_model(clean)


def test_a_rate_is_taken_as_it_is() -> None:
    rate = Rate(limit=1, period=1.0, burst=1)
    assert make_model({"server": {"limits": {"messages": rate}}}).server.limits.messages == rate
