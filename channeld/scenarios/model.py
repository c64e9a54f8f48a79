"""The contents of a scenario file as frozen values: durations in seconds, every part with its JSON pointer.

`structure.py` makes them; values are always valid. Patterns and frames are kept as written.
"""

from collections.abc import Mapping
from typing import TypeAlias

import attrs

from channeld.config.tree import Tree
from channeld.protocol.frames import Json


@attrs.frozen(slots=True, kw_only=True)
class Pattern:
    """A pattern for frames, and its location in the file."""

    value: Json
    pointer: str


@attrs.frozen(slots=True, kw_only=True)
class ClientSpec:
    """One of `clients`: how it connects, and whether it is accepted. `refused` is a close code or an HTTP status.

    `since` is a position, `{$ref: NAME}`, or `last`: the last `pos` that this client received.
    """

    name: str
    pointer: str
    path: str
    user: str | None = None
    claims: Mapping[str, Json] = attrs.field(factory=dict)
    token: str | None = None
    expires: float | None = None
    since: Json = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    origin: str | None = None
    refused: int | None = None


@attrs.frozen(slots=True, kw_only=True)
class Rejection:
    """What a stub rejects with, as `channeld.Reject` takes it."""

    message: str
    code: str = "REJECTED"
    close: int | None = None
    fields: Mapping[str, Json] = attrs.field(factory=dict)


@attrs.frozen(slots=True, kw_only=True)
class Stub:
    """Replaces a hook: after `delay` seconds it rejects, raises, returns a value, or returns nothing."""

    hook: str
    pointer: str
    delay: float = 0.0
    reject: Rejection | None = None
    raises: str | None = None
    returns: Json = None


@attrs.frozen(slots=True, kw_only=True)
class ClientStep:
    """A step of a client; `pointer` locates it in the file."""

    client: str
    pointer: str


@attrs.frozen(slots=True, kw_only=True)
class SendStep(ClientStep):
    """`send`: a frame; `{$ref: NAME}` in it is a captured value."""

    frame: Json


@attrs.frozen(slots=True, kw_only=True)
class SendRaw(ClientStep):
    """`send_raw`: any text."""

    text: str


@attrs.frozen(slots=True, kw_only=True)
class Expect(ClientStep):
    """`expect` and `expect_unordered`: frames that must arrive within `within` seconds."""

    patterns: tuple[Pattern, ...]
    within: float = 0.0
    ordered: bool = True


@attrs.frozen(slots=True, kw_only=True)
class Absent(ClientStep):
    """`absent`: nothing (without a pattern), or nothing like the pattern, for `seconds`."""

    pattern: Pattern | None = None
    seconds: float = 0.0


@attrs.frozen(slots=True, kw_only=True)
class ExpectClose(ClientStep):
    """`expect_close`: the server closes; the pattern is compared with `{code, reason}`."""

    pattern: Pattern
    within: float = 0.0


@attrs.frozen(slots=True, kw_only=True)
class Close(ClientStep):
    """`close`: the client closes."""

    code: int = 1000
    reason: str = ""


@attrs.frozen(slots=True, kw_only=True)
class Connect(ClientStep):
    """`connect`: the client connects again, in the way of `spec`."""

    spec: ClientSpec


@attrs.frozen(slots=True, kw_only=True)
class Advance:
    """`advance`: virtual time passes."""

    pointer: str
    seconds: float
    client: str | None = None


@attrs.frozen(slots=True, kw_only=True)
class PublishStep:
    """`publish`: publishes as the control API would; `refused`: the event must be refused."""

    pointer: str
    channel: str
    to: str
    event: Mapping[str, Json]
    room: str | None = None
    user: str | None = None
    refused: bool = False
    client: str | None = None


Step: TypeAlias = (
    SendStep | SendRaw | Expect | Absent | ExpectClose | Close | Connect | Advance | PublishStep
)


@attrs.frozen(slots=True, kw_only=True)
class Scenario:
    """One of `scenarios`. `ignore` are patterns of frames that need not be consumed; `skip` is a reason, or empty."""

    name: str
    pointer: str
    clients: Mapping[str, ClientSpec]
    steps: tuple[Step, ...]
    stubs: Mapping[str, Stub]
    ignore: tuple[Pattern, ...] = ()
    skip: str = ""


@attrs.frozen(slots=True, kw_only=True, eq=False)
class ScenarioFile:
    """A whole file. `config` is the configuration's path, relative to the working folder, or empty: look upwards."""

    tree: Tree
    config: str
    env: Mapping[str, str]
    scenarios: tuple[Scenario, ...]
