import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from channeld.export.contract import Contract, ReceivedType, SentType
from channeld.export.python import python
from channeld.export.types import Record, Type, Types, Union
from tests.export.conftest import ContractOf

USE = """
from typing import assert_never
from shipped import PATHS, LobbyReceive, LobbySend, LobbySendMessage, RoomReceive, RoomSendType

def said(frame: RoomReceive) -> str:
    if frame["type"] == "message":
        return frame["text"] + frame["from"]
    if frame["type"] == "presence" and frame["event"] == "state":
        return frame["users"][0]["info"]["name"]
    return frame["type"]

def take(frame: LobbyReceive) -> None:
    match frame["type"]:
        case "message" | "ack" | "pong" | "subscribed" | "unsubscribed" | "disconnect" | "error":
            pass
        case never:
            assert_never(never)

kind: RoomSendType = "whisper"
path: str = PATHS["room"]
wrong: LobbySendMessage = {"type": "message", "room": "r"}  # type: ignore[typeddict-item]
other: LobbySend = {"type": "nope"}  # type: ignore[typeddict-item]
"""


def examples(contract: Contract, module: str) -> Iterator[str]:
    """Every example that has no undeclared fields, which TypedDicts do not know."""
    types = Types(contract.definitions)
    yield f"import {module}"
    number = 0
    for channel in contract.channels:
        each_way: tuple[SentType | ReceivedType, ...] = (*channel.sent, *channel.received)
        for each in each_way:
            for example in each.examples:
                if any({*example} <= names for names in declared(types.definition(each.name))):
                    number += 1
                    value = repr(json.loads(json.dumps(example)))
                    yield f"example{number}: {module}.{each.name} = {value}"
    assert number


def declared(type: Type) -> list[set[str]]:
    records = type.of if isinstance(type, Union) else (type,)
    return [{p.name for p in each.properties} for each in records if isinstance(each, Record)]


@pytest.mark.slow
def test_types_examples_and_use_pass_mypy(
    shipped: Contract, nasty: Contract, tmp_path: Path
) -> None:
    for name, contract in (("shipped", shipped), ("nasty", nasty)):
        tmp_path.joinpath(f"{name}.py").write_text(python(contract))
        text = "\n".join(examples(contract, name))
        tmp_path.joinpath(f"{name}_examples.py").write_text(text)
    tmp_path.joinpath("use.py").write_text(USE)
    files = sorted(path.name for path in tmp_path.glob("*.py"))
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-version=3.11"]
    done = subprocess.run(
        [*command, *files], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == f"Success: no issues found in {len(files)} source files\n"


@pytest.mark.parametrize("which", ["shipped", "nasty"])
def test_it_can_be_imported(request: pytest.FixtureRequest, which: str) -> None:
    module: dict[str, object] = {}
    exec(python(request.getfixturevalue(which)), module)
    assert isinstance(module["PATHS"], dict)


def test_a_frame_is_a_class_where_its_fields_can_be_names(shipped: Contract) -> None:
    assert (
        "class LobbyReceiveMessage(TypedDict):\n"
        "    type: Literal['message']\n"
        "    room: str\n"
        '    text: "Text"\n'
    ) in python(shipped)


def test_fields_that_are_no_names_are_written_as_keys(nasty: Contract) -> None:
    text = python(nasty)
    for field in ("from", "None", "__private", "not an identifier", "ünïcode €"):
        assert f"        {field!r}: " in text


def test_only_what_is_used_is_imported(contract_of: ContractOf) -> None:
    text = python(contract_of("channels: {c: {path: /c, auth: none}}"))
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    imported = [
        alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    # `NotRequired` stands in strings.
    assert set(imported) - names <= {"NotRequired"}


def test_a_docstring_can_not_be_ended_from_within(contract_of: ContractOf) -> None:
    contract = contract_of(
        """
        channels:
          c: {path: /c, auth: none, events: {x: {description: 'a \"\"\" b \\ "'}}}
        """
    )
    ast.parse(python(contract))
