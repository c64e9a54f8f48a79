"""Reads the steps and clients of a scenario."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs

from channeld.config.language import joined
from channeld.pointer import at
from channeld.protocol.codes import REFUSALS
from channeld.protocol.frames import CheckedJson, Json
from channeld.scenarios.model import (
    Absent,
    Advance,
    ClientSpec,
    Close,
    Connect,
    Expect,
    ExpectClose,
    Pattern,
    PublishStep,
    SendRaw,
    SendStep,
    Step,
)
from channeld.scenarios.reading import Reader
from channeld.suggest import did_you_mean

CLIENT_KEYS: Final = (
    "path", "user", "claims", "token", "expires", "since", "headers", "origin", "refused",
)  # fmt: skip
RESERVED_NAMES: Final = frozenset({"advance", "publish"})
MODIFIERS: Final[Mapping[str, tuple[str, ...]]] = {
    "send": (),
    "send_raw": (),
    "expect": ("within",),
    "expect_unordered": ("within",),
    "absent": ("for",),
    "expect_close": ("within",),
    "close": (),
    "connect": (),
}
"""Each verb of a client, and the keys that may accompany it."""
BARE: Final = ("absent", "close", "connect", "expect_close")
_WAITS: Final = frozenset({"sleep", "wait", "pause", "delay", "after", "timeout"})
PUBLISH_KEYS: Final = ("channel", "to", "room", "user", "event", "refused")
TARGETS: Final = ("room", "user", "global")


def read_client(
    reader: Reader, written: Mapping[str, Json], pointer: str, before: ClientSpec
) -> ClientSpec:
    """Read a client's keys over existing ones; errors are reported and left out."""
    keys: dict[str, Callable[[Json, str], object]] = {
        "path": reader.text,
        "user": reader.text,
        "claims": reader.object,
        "token": reader.text,
        "expires": reader.duration,
        "since": lambda value, below: _since(reader, value, below),
        "headers": lambda value, below: _headers(reader, value, below),
        "origin": reader.text,
        "refused": lambda value, below: _refused(reader, value, below),
    }
    read = {
        key: keys[key](value, at(pointer, key)) for key, value in written.items() if key in keys
    }
    path = read.get("path", before.path)
    if isinstance(path, str) and path and not path.startswith("/"):
        help = f"write `/{path}`"
        reader.find("CH812", "a path starts with `/`", at(pointer, "path"), help)
    if "token" in written and "user" in written:
        message = "a client has either a `token` or a `user`, not both"
        reader.find("CH805", message, at(pointer, "token"), "keep one", key=True)
    changed: dict[str, CheckedJson] = {
        key: value for key, value in read.items() if value is not None
    }
    return attrs.evolve(before, **changed)


def _since(reader: Reader, value: Json, pointer: str) -> Json:
    return (
        reader.template(value, pointer) if isinstance(value, dict) else reader.text(value, pointer)
    )


def _headers(reader: Reader, value: Json, pointer: str) -> Mapping[str, str]:
    named = reader.object(value, pointer)
    headers = {}
    for name, text in named.items():
        checked = reader.text(text, at(pointer, name))
        if checked is not None and checked.isascii() and checked.isprintable() and name.isascii():
            headers[name.lower()] = checked
        elif checked is not None:
            message = "a header field holds printable ASCII characters only"
            reader.find("CH812", message, at(pointer, name))
    return headers


def _refused(reader: Reader, value: Json, pointer: str) -> int | None:
    if type(value) is int and value in REFUSALS:
        return value
    statuses = joined([str(status) for status in REFUSALS])
    return reader.close_code(value, pointer, f"a close code, or one of the statuses {statuses}")


@attrs.define(eq=False)
class StepReader:
    """Reads the steps of one scenario."""

    reader: Reader
    clients: Mapping[str, ClientSpec]

    def steps(self, value: Json, pointer: str) -> list[Step]:
        """The steps; those with findings are left out."""
        read = [self._step(one, below) for one, below in self.reader.items(value, pointer)]
        return [step for step in read if step is not None]

    def _step(self, value: Json, pointer: str) -> Step | None:
        if not isinstance(value, dict):
            self.reader.wrong(value, pointer, "a mapping", "write `CLIENT: {send: {…}}`")
            return None
        if len(value) != 1:
            message = "a step is about one client, `advance` or `publish`"
            help = "start a line of its own, with `- `, for each of them"
            client = value.get("client")
            verb = next((key for key in MODIFIERS if key in value), "send")
            if isinstance(client, str):
                help = f"write `{client[:40]}: {{{verb}: …}}`"
            self.reader.find("CH805", message, pointer, help)
            return None
        name, said = next(iter(value.items()))
        below = at(pointer, name)
        if name == "advance":
            return Advance(pointer=below, seconds=self.reader.duration(said, below))
        if name == "publish":
            return self._publish(said, below)
        if name not in self.clients:
            known = [*self.clients, *sorted(RESERVED_NAMES)]
            names = joined([f"`{one}`" for one in known])
            help = did_you_mean(name, known, f"a step starts with one of {names}")
            if name in MODIFIERS:
                first = next(iter(self.clients), "CLIENT")
                help = f"name the client first: `{first}: {{{name}: …}}`"
            elif name in _WAITS:
                help = "let time pass with `advance: 5s`"
            message = f"the scenario has no client `{name[:40]}`"
            self.reader.find("CH804", message, below, help, key=True)
            return None
        return self._client_step(name, said, below)

    def _client_step(self, client: str, said: Json, pointer: str) -> Step | None:
        if isinstance(said, str) and said in BARE:
            return VERBS[said](self, client, None, pointer, {})
        verbs = [key for key in MODIFIERS if isinstance(said, dict) and key in said]
        if isinstance(said, str):
            help = did_you_mean(said, BARE, f"write {joined(_quoted(BARE))}, or a mapping")
            self.reader.find("CH805", f"`{said[:40]}` is not a step", pointer, help)
            return None
        if len(verbs) > 1:
            message = f"a step does one thing; this one has `{verbs[0]}` and `{verbs[1]}`"
            below = at(pointer, verbs[1])
            self.reader.find("CH805", message, below, "make two steps of it", key=True)
            return None
        legal = (*verbs, *(MODIFIERS[verbs[0]] if verbs else MODIFIERS))
        written = self.reader.mapping(said, pointer, legal)
        if written is None:
            return None
        if not verbs:
            if all(key.startswith("x-") for key in written):
                help = f"write one of {joined(_quoted(MODIFIERS))}"
                self.reader.find("CH805", "the step is empty", pointer, help)
            return None
        return VERBS[verbs[0]](self, client, written[verbs[0]], at(pointer, verbs[0]), written)

    # ---------------------------------------------------------------------------------------------------- verbs

    def _duration(self, written: Mapping[str, Json], key: str, pointer: str) -> float:
        return self.reader.at(written, pointer.rpartition("/")[0], key, self.reader.duration, 0.0)

    def send(self, client: str, said: Json, pointer: str, written: Mapping[str, Json]) -> Step:
        """`send`."""
        if not isinstance(said, dict):
            self.reader.wrong(said, pointer, "a frame", "for any other text use `send_raw`")
        frame = self.reader.template(said, pointer)
        return SendStep(client=client, pointer=pointer, frame=frame)

    def send_raw(self, client: str, said: Json, pointer: str, written: Mapping[str, Json]) -> Step:
        """`send_raw`."""
        text = self.reader.text(said, pointer) or ""
        return SendRaw(client=client, pointer=pointer, text=text)

    def expect(self, client: str, said: Json, pointer: str, written: Mapping[str, Json]) -> Step:
        """`expect` and `expect_unordered`."""
        listed = self.reader.items(said, pointer) if isinstance(said, list) else [(said, pointer)]
        if not listed:
            message, help = "nothing is expected", "write a frame, or `absent`"
            self.reader.find("CH805", message, pointer, help)
        patterns = tuple(self.reader.pattern(value, below) for value, below in listed)
        within = self._duration(written, "within", pointer)
        ordered = "expect_unordered" not in written
        return Expect(
            client=client, pointer=pointer, patterns=patterns, within=within, ordered=ordered
        )

    def absent(self, client: str, said: Json, pointer: str, written: Mapping[str, Json]) -> Step:
        """`absent`, alone or with what must not arrive."""
        pattern = None
        if isinstance(said, dict):
            pattern = self.reader.pattern(said, pointer)
        elif said is not None and said is not True:
            self.reader.wrong(said, pointer, "a frame that must not come, or `true` for any")
        seconds = self._duration(written, "for", pointer)
        return Absent(client=client, pointer=pointer, pattern=pattern, seconds=seconds)

    def expect_close(
        self, client: str, said: Json, pointer: str, written: Mapping[str, Json]
    ) -> Step:
        """`expect_close`: a code, or a mapping with `code` and `reason`."""
        value: Json = {} if said is None else said
        if isinstance(said, int):
            value = {"code": said}
            self.reader.close_code(said, pointer)
        elif said is not None:
            value = dict(self.reader.mapping(said, pointer, ("code", "reason")) or {})
            self.reader.value_pattern(value, pointer)
        pattern = Pattern(value=value, pointer=pointer)
        within = self._duration(written, "within", pointer)
        return ExpectClose(client=client, pointer=pointer, pattern=pattern, within=within)

    def close(self, client: str, said: Json, pointer: str, written: Mapping[str, Json]) -> Step:
        """`close`, alone, with a code, or with `code` and `reason`."""
        if said is None or said is True:
            return Close(client=client, pointer=pointer)
        if isinstance(said, int):
            code = self.reader.close_code(said, pointer)
            return Close(client=client, pointer=pointer, code=code or 1000)
        mapping = self.reader.mapping(said, pointer, ("code", "reason")) or {}
        code = self.reader.at(mapping, pointer, "code", self.reader.close_code, 1000)
        reason = self.reader.at(mapping, pointer, "reason", self.reader.text, "")
        return Close(client=client, pointer=pointer, code=code, reason=reason)

    def connect(self, client: str, said: Json, pointer: str, written: Mapping[str, Json]) -> Step:
        """`connect`, alone or with keys that differ from the client's."""
        before = attrs.evolve(self.clients[client], refused=None, since=None)
        if said is None or said is True:
            return Connect(client=client, pointer=pointer, spec=before)
        changed = self.reader.mapping(said, pointer, CLIENT_KEYS) or {}
        if "token" in changed:
            before = attrs.evolve(before, user=None)
        elif "user" in changed:
            before = attrs.evolve(before, token=None)
        spec = read_client(self.reader, changed, pointer, before)
        return Connect(client=client, pointer=pointer, spec=spec)

    def _publish(self, said: Json, pointer: str) -> Step | None:
        reader = self.reader
        written = reader.mapping(said, pointer, PUBLISH_KEYS, ["channel", "event"])
        if written is None:
            return None
        to = written.get(
            "to", "room" if "room" in written else "user" if "user" in written else "global"
        )
        below = at(pointer, "to")
        if to not in TARGETS:
            reader.find("CH805", f"`to` is {joined(_quoted(TARGETS))}", below)
        elif to != "global" and to not in written:
            help = f"add `{to}:`"
            reader.find("CH803", f"to publish to a {to} takes its name", below, help)
        event = reader.template(written["event"], at(pointer, "event"))
        if not isinstance(event, dict):
            reader.wrong(event, at(pointer, "event"), "a frame")
            return None
        return PublishStep(
            pointer=pointer,
            channel=reader.at(written, pointer, "channel", reader.text, ""),
            to=str(to),
            event=event,
            room=reader.at(written, pointer, "room", reader.text, None),
            user=reader.at(written, pointer, "user", reader.text, None),
            refused=reader.at(written, pointer, "refused", reader.flag, False),
        )


VERBS: Final[Mapping[str, Callable[[StepReader, str, Json, str, Mapping[str, Json]], Step]]] = {
    "send": StepReader.send,
    "send_raw": StepReader.send_raw,
    "expect": StepReader.expect,
    "expect_unordered": StepReader.expect,
    "absent": StepReader.absent,
    "expect_close": StepReader.expect_close,
    "close": StepReader.close,
    "connect": StepReader.connect,
}


def _quoted(names: Iterable[str]) -> list[str]:
    return [f"`{name}`" for name in names]
