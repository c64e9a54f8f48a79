"""Checks a scenario file's document and turns it into the model; errors become findings."""

import posixpath
from collections.abc import Mapping
from typing import Final

from channeld.config.tree import Tree
from channeld.diagnostics.diagnostic import Related, Report
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.scenarios.model import (
    ClientSpec,
    Pattern,
    Rejection,
    Scenario,
    ScenarioFile,
    Stub,
)
from channeld.scenarios.reading import Reader
from channeld.scenarios.steps import CLIENT_KEYS, RESERVED_NAMES, StepReader, read_client

FILE_KEYS: Final = ("config", "env", "hooks", "ignore", "scenarios")
SCENARIO_KEYS: Final = ("name", "clients", "steps", "hooks", "ignore", "skip", "description")
STUB_KEYS: Final = ("delay", "reject", "raises", "returns", "nothing")
REJECT_KEYS: Final = ("message", "code", "close", "fields")
ANSWERS: Final = ("reject", "raises", "returns", "nothing")


def structure(tree: Tree, report: Report) -> ScenarioFile | None:
    """The model of a scenario file; None if the report has errors (CH801 to CH813)."""
    reader = Reader(tree, report)
    before = len(report.errors)
    document = reader.mapping(tree.value, "", FILE_KEYS, ["scenarios"])
    if document is None:
        return None
    common = _Common(reader, document)
    scenarios = [
        common.scenario(value, pointer)
        for value, pointer in reader.items(document["scenarios"], "/scenarios")
    ]
    _check_names(reader, scenarios)
    if isinstance(document["scenarios"], list) and not scenarios:
        reader.find("CH813", "the file has no scenario", "/scenarios", "add one", key=True)
    if len(report.errors) > before:
        return None
    return ScenarioFile(
        tree=tree,
        config=common.config,
        env=common.env,
        scenarios=tuple(one for one in scenarios if one is not None),
    )


class _Common:
    """What all scenarios of a file share."""

    def __init__(self, reader: Reader, document: Mapping[str, Json]) -> None:
        self.reader = reader
        self.config = ""
        if "config" in document:
            path = reader.text(document["config"], "/config") or ""
            folder = posixpath.dirname(reader.tree.file)
            self.config = posixpath.normpath(posixpath.join(folder, path))
        env = reader.named_values(document.get("env", {}), "/env")
        self.env = {name: reader.at(env, "/env", name, reader.text, "") for name in env}
        self.stubs = self.read_stubs(document, "")
        self.ignore = self.read_ignore(document, "")

    def scenario(self, value: Json, pointer: str) -> Scenario | None:
        """One of `scenarios`."""
        reader = self.reader
        reader.captured.clear()
        written = reader.mapping(value, pointer, SCENARIO_KEYS, ["name", "steps"])
        if written is None:
            return None
        name = reader.text(written["name"], at(pointer, "name")) or ""
        clients = self._clients(written.get("clients", {}), at(pointer, "clients"))
        steps = StepReader(reader, clients).steps(written["steps"], at(pointer, "steps"))
        return Scenario(
            name=name,
            pointer=pointer,
            clients=clients,
            steps=tuple(steps),
            stubs={**self.stubs, **self.read_stubs(written, pointer)},
            ignore=(*self.ignore, *self.read_ignore(written, pointer)),
            skip=reader.at(written, pointer, "skip", reader.text, ""),
        )

    def _clients(self, value: Json, pointer: str) -> dict[str, ClientSpec]:
        clients = {}
        for name, written in self.reader.named_values(value, pointer).items():
            below = at(pointer, name)
            if name in RESERVED_NAMES or not name:
                message = f"a client can't be called `{name}`, which is a step of its own"
                self.reader.find("CH804", message, below, "give it another name", key=True)
                continue
            # An invalid client is still known, so that steps which name it are not reported as well.
            clients[name] = ClientSpec(name=name, pointer=below, path="")
            checked = self.reader.mapping(written, below, CLIENT_KEYS, ["path"])
            if checked is not None:
                clients[name] = read_client(self.reader, checked, below, clients[name])
        return clients

    def read_ignore(self, written: Mapping[str, Json], pointer: str) -> tuple[Pattern, ...]:
        """`ignore`: patterns of frames that need not be consumed."""
        listed = self.reader.items(written.get("ignore", []), at(pointer, "ignore"))
        return tuple(self.reader.pattern(value, below) for value, below in listed)

    def read_stubs(self, written: Mapping[str, Json], pointer: str) -> dict[str, Stub]:
        """`hooks`: stubs for hooks, by `module:function`."""
        below = at(pointer, "hooks")
        stubs = self.reader.named_values(written.get("hooks", {}), below)
        return {name: self._stub(name, value, at(below, name)) for name, value in stubs.items()}

    def _stub(self, name: str, value: Json, pointer: str) -> Stub:
        reader = self.reader
        written = reader.mapping({} if value is None else value, pointer, STUB_KEYS) or {}
        answers = [key for key in ANSWERS if key in written]
        if len(answers) > 1:
            message = f"a hook can't both `{answers[0]}` and `{answers[1]}`"
            reader.find("CH805", message, at(pointer, answers[1]), "keep one", key=True)
        return Stub(
            hook=name,
            pointer=pointer,
            delay=reader.at(written, pointer, "delay", reader.duration, 0.0),
            reject=self._reject(written, pointer),
            raises=reader.at(written, pointer, "raises", reader.text, None),
            returns=written.get("returns"),
        )

    def _reject(self, written: Mapping[str, Json], pointer: str) -> Rejection | None:
        if "reject" not in written:
            return None
        reader, value, below = self.reader, written["reject"], at(pointer, "reject")
        if isinstance(value, str):
            return Rejection(message=value)
        reject = reader.mapping(value, below, REJECT_KEYS, ["message"]) or {}
        return Rejection(
            message=reader.at(reject, below, "message", reader.text, ""),
            code=reader.at(reject, below, "code", reader.text, "REJECTED"),
            close=reader.at(reject, below, "close", reader.close_code, None),
            fields=reader.at(reject, below, "fields", reader.object, {}),
        )


def _check_names(reader: Reader, scenarios: list[Scenario | None]) -> None:
    """CH809: names must be unique, so that a scenario can be selected."""
    seen: dict[str, Scenario] = {}
    for scenario in scenarios:
        if scenario is None:
            continue
        first = seen.setdefault(scenario.name, scenario)
        if first is not scenario:
            there = reader.tree.place(at(first.pointer, "name"))
            message = "two scenarios have the same name"
            related = (Related(place=there, message="first used here"),)
            below = at(scenario.pointer, "name")
            reader.find("CH809", message, below, "rename one of them", related=related)
