"""The servers of a broker: which can be named, and how."""

from collections.abc import Callable

import pytest

from channeld.broker.redis.discovery import read_url
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
        ("url: 'redis://a?db=1&ssl=1'", "CH710", "/url"),
        ("urls: ['redis://a?db=1', 'redis://b?noreply=true']", "CH710", "/urls/1"),
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


@pytest.mark.parametrize(
    "url",
    [
        *("redis://host:99999", "redis://host:0", "redis://host:abc", "redis://:secret@", "redis://ho st"),
        *("redis://h/x", "redis://h/-1", "redis://h/0/1", "redis://h?db=x", "unix:///s?db=x", "unix://"),
        *("redis://[::1", "redis://-h", "redis://a,b", "redis://:pa#ss@h", "redis://:pa/ss@h:1"),
        *("redis+sentinel://a,b", "redis+sentinel://,a/m", "redis+sentinel://a/m/x", "redis+cluster://a/1"),
        *("redis+cluster://a,,b", "redis+cluster://a:70000", "rediss+cluster://a, b", "valkey://"),
    ],
)  # fmt: skip
def test_a_url_that_leads_nowhere(load_config: Load, url: str) -> None:
    for broker in (f"url: '{url}'", f"urls: ['redis://other', '{url}']"):
        found = list(load(load_config, broker).report)
        assert [one.code for one in found] in (["CH710"], ["CH120"])
        assert "secret" not in found[0].message + found[0].help


@pytest.mark.parametrize(
    "url",
    [
        *("redis://h", "redis://my_redis:6379", "rediss://u:p%40ss@h.example:6380/15", "redis://[::1]:6379/0"),
        *("redis://user:p@ss@h", "unix:///run/redis.sock?db=1", "valkeys://10.0.0.1", "redis://h/"),
        *("redis+sentinel://:pw@a:26379,b/mymaster/3", "redis+cluster://a:1,b:2", "rediss://h?ssl_cert_reqs=none"),
        *("redis://redis.default.svc.cluster.local.:6379", "redis://münchen.example", "redis://_r_:1"),
        "redis://u:p@h/0?client_name=a@b",
    ],
)  # fmt: skip
def test_a_url_that_the_broker_takes(load_config: Load, url: str) -> None:
    assert not list(load(load_config, f"url: '{url}'").report)
    assert read_url(url, "p").url
