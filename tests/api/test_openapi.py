import json
from pathlib import Path
from typing import Any

import pytest

from channeld.api.app import TABLE
from channeld.api.openapi import describe
from channeld.schema.compiled import compiled
from tests.api.conftest import Start

DOCUMENT: Any = describe(TABLE)
FILE = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"


def test_the_file_is_current() -> None:
    assert json.loads(FILE.read_text()) == DOCUMENT, "run python docs/reference/openapi.py"


def test_every_described_route_is_in_it() -> None:
    told = {(m.upper(), p) for p, methods in DOCUMENT["paths"].items() for m in methods}
    assert told == {(route.method, route.path) for route in TABLE if route.is_described}


def test_operations_have_names_of_their_own() -> None:
    names = [o["operationId"] for p in DOCUMENT["paths"].values() for o in p.values()]
    assert sorted(names) == sorted(set(names))
    assert "getChannelsChannelRoomsRoomHistory" in names


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
def test_its_schemas_are_schemas(name: str) -> None:
    compiled({"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]})


def test_schemas_are_named_once() -> None:
    room = DOCUMENT["components"]["schemas"]["BatchResults"]["properties"]["results"]
    assert room["items"]["anyOf"][0] == {"$ref": "#/components/schemas/Published"}


def test_a_key_is_wanted_but_for_health_and_metrics() -> None:
    assert DOCUMENT["security"] == [{"key": []}]
    free = [
        path
        for path, methods in DOCUMENT["paths"].items()
        if methods.get("get", {}).get("security") == []
    ]
    assert free == ["/health/live", "/health/ready", "/metrics"]


def test_errors_are_problem_documents() -> None:
    told = DOCUMENT["paths"]["/v1/publish"]["post"]["responses"]
    assert set(told) == {
        "200",
        "400",
        "401",
        "403",
        "404",
        "405",
        "413",
        "415",
        "422",
        "500",
        "503",
    }
    content = told["422"]["content"]["application/problem+json"]
    assert content["schema"] == {"$ref": "#/components/schemas/Problem"}


async def test_what_is_served_names_the_plan_s_channels(api: Start) -> None:
    async with api() as it:
        document = await it.get("/openapi.json")
        parameter = document["paths"]["/v1/channels/{channel}"]["get"]["parameters"][0]
        assert parameter["schema"]["examples"] == ["lobby", "room", "feed"]


async def test_an_event_s_example_becomes_one_of_publishing(api: Start) -> None:
    yaml = """
channeld: 1
api: {keys: ["a-key-of-exactly-thirty-two-char"]}
channels:
  lobby: {path: /chat, auth: none, events: {note: {examples: [{text: hi}]}}}
"""
    async with api(yaml) as it:
        document = await it.get("/openapi.json")
        body = document["paths"]["/v1/publish"]["post"]["requestBody"]
        shown = body["content"]["application/json"]["example"]
        assert shown["event"] == {"type": "note", "text": "hi"}
        assert await it.publish(**shown)
