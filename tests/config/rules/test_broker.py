"""The servers of a broker: which can be named, and how."""

from collections.abc import Callable

import pytest

from channeld.config.load import Loaded
from channeld.config.model import RedisBroker

Load = Callable[..., Loaded]

BASE = """\
channeld: 1
broker: {redis: {BROKER}}
channels:
  room: {path: /room, description: One room., auth: none, rooms: lobby, messages: {say: {schema: true, route: room}}}
"""


def load(load_config: Load, broker: str) -> Loaded:
    return load_config(BASE.replace("{BROKER}", "{" + broker + "}"))


def test_one_server_several_or_a_cluster(load_config: Load) -> None:
    for written, urls, shards in (
        ("url: 'redis://a'", ("redis://a",), 64),
        ("urls: ['redis://a', 'redis+sentinel://b/m']", ("redis://a", "redis+sentinel://b/m"), 64),
        ("url: 'redis+cluster://a', shards: 16", ("redis+cluster://a",), 16),
    ):
        loaded = load(load_config, written)
        assert not list(loaded.report)
        assert loaded.config is not None
        assert loaded.config.broker == RedisBroker(urls=urls, shards=shards)


@pytest.mark.parametrize(
    ("broker", "code", "path"),
    [
        ("", "CH104", ""),
        ("prefix: x", "CH104", ""),
        ("urls: []", "CH121", "/urls"),
        ("urls: 'redis://a'", "CH105", "/urls"),
        ("urls: [5]", "CH105", "/urls/0"),
        ("urls: ['redis://a', 'http://b']", "CH120", "/urls/1"),
        ("urls: ['redis://a', 'redis+cluster://b']", "CH120", "/urls/1"),
        ("url: 'redis://a', urls: ['redis://b']", "CH706", "/urls"),
        ("urls: ['redis://a', 'rediss://ann:pw@A:6379/2']", "CH707", "/urls/1"),
        ("urls: ['unix:///s', 'unix:///s?db=1']", "CH707", "/urls/1"),
        ("url: 'redis://a', shards: 8", "CH708", "/shards"),
        ("urls: ['redis://a', 'redis://b'], shards: 8", "CH708", "/shards"),
        ("url: 'redis+cluster://a', shards: 0", "CH601", "/shards"),
        ("url: 'redis+cluster://a', shards: 1025", "CH601", "/shards"),
        ("url: 'redis+cluster://a', shards: many", "CH105", "/shards"),
    ],
)
def test_what_names_no_servers(load_config: Load, broker: str, code: str, path: str) -> None:
    found = [(d.code, d.place.path) for d in load(load_config, broker).report]
    assert found == [(code, f"/broker/redis{path}")]


def test_no_finding_shows_a_password(load_config: Load) -> None:
    loaded = load(load_config, "urls: ['redis://ann:secret@a', 'redis://bob:hidden@a']")
    assert [d.code for d in loaded.report] == ["CH707"]
    assert "hidden" not in str(list(loaded.report))
