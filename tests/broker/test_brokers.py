import subprocess
import sys
from typing import get_args, get_type_hints

import pytest

from channeld.broker.broker import Networked
from channeld.broker.brokers import BROKERS, BrokerKind, BrokerSite, kind_of
from channeld.broker.memory import MemoryBroker
from channeld.broker.redis.broker import RedisBroker
from channeld.broker.redis.embedded import EmbeddedValkey
from channeld.config.model import Config
from channeld.config.model import RedisBroker as RedisSettings
from tests.broker.conftest import FakeClock

REDIS = RedisSettings(urls=("unix:///nowhere/s",), prefix="p")


def site(server: str = "") -> BrokerSite:
    return BrokerSite(
        deliver=lambda _topic, _publication: None, clock=FakeClock(), node_id="n", server=server
    )


def test_every_row_is_what_the_configuration_can_say() -> None:
    said: set[object] = set()
    for choice in get_args(get_type_hints(Config)["broker"]):
        said |= set(get_args(choice)) if get_args(choice) else {choice}
    assert said == {kind.settings or kind.name for kind in BROKERS}


def test_a_row_is_found_by_its_name_or_its_settings() -> None:
    assert [kind_of(said).name for said in ("memory", "valkey", REDIS)] == [
        "memory",
        "valkey",
        "redis",
    ]
    with pytest.raises(LookupError):
        kind_of("carrier pigeon")


def test_processes_share_all_but_memory() -> None:
    assert [kind.name for kind in BROKERS if not kind.is_shared] == ["memory"]


@pytest.mark.parametrize(
    ("kind", "settings", "server"),
    [
        (kind_of("memory"), "memory", ""),
        (kind_of("valkey"), "valkey", "unix:///private/s"),
        (kind_of(REDIS), REDIS, ""),
    ],
    ids=lambda value: value.name if isinstance(value, BrokerKind) else "",
)
def test_a_shared_broker_is_networked(kind: BrokerKind, settings: object, server: str) -> None:
    broker = kind.open(settings, site(server))
    assert isinstance(broker, RedisBroker if kind.is_shared else MemoryBroker)
    assert isinstance(broker, Networked) is kind.is_shared


def test_a_private_server_is_made_where_the_row_says_so() -> None:
    made = {kind.name: kind.private_server for kind in BROKERS if kind.private_server is not None}
    assert list(made) == ["valkey"]
    server = made["valkey"]()
    assert isinstance(server, EmbeddedValkey)
    assert server.url.startswith("unix://")


def test_a_server_that_keeps_everything_in_memory_loads_no_redis_client() -> None:
    code = (
        "import sys; from channeld.app import App; from channeld.plan.load import load_plan;"
        "App(load_plan('channels.yaml'));"
        "print([name for name in sys.modules if name in ('coredis', 'channeld.broker.redis')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
