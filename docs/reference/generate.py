"""Writes the reference pages from the tables that the server itself reads.

    python docs/reference/generate.py            writes what has changed
    python docs/reference/generate.py --check    only says what would change, and ends with 1

Whole pages (`config.md`, `diagnostics.md`, `cli.md`, `twelve-mistakes.md` and its picture) are made here. In the others
only the parts between `<!-- begin: NAME -->` and `<!-- end: NAME -->` are; what stands around them is written by hand.
"""

import inspect
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from channeld.api import forms
from channeld.api.openapi import describe
from channeld.api.routes import ROUTES
from channeld.cli.main import COMMANDS, cli
from channeld.diagnostics.catalogue import CATALOGUE, Entry
from channeld.diagnostics.render import render_text
from channeld.hooks import Context, Reject, Request, SyncContext, User
from channeld.loading import check
from channeld.protocol.codes import REFUSALS, CloseCode, ErrorCode, may_come_back
from channeld.protocol.frames import RESERVED
from channeld.telemetry import BUCKETS, EVENTS, METRICS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MADE = "<!-- Made by docs/reference/generate.py; do not edit. -->"

Schema = Mapping[str, Any]


def cell(text: str) -> str:
    """Text that fits into a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(map(cell, row)) + " |" for row in rows)])


# ------------------------------------------------------------------------------------------------------ config.md

LANGUAGE: Schema = json.loads((ROOT / "channeld/config/channels.schema.json").read_text())

CONFIG_HEAD = f"""{MADE}
# The configuration language

Everything that `channels.yaml` may say, key by key. `channeld schema` prints the same as a JSON Schema, from which
editors complete and check ([how](../guides/editors.md)); [a whole example](../../channels.yaml) is in the repository.

**Notations.** Durations: `250ms`, `10s`, `5m`, `1h`, `7d`. Sizes: a number of bytes, or `64KiB`, `1MiB`. Rates: `10/s`,
`100/m`, `1000/h`, or `{{limit: 10/s, burst: 30}}`; a rate is a token bucket, and the burst is the rate's count unless it is
given.

**YAML** is read with the core rules of version 1.2: only `true` and `false` are booleans, `yes`, `no`, `on` and `off` are
text. A key twice is an error; tags are errors; anchors and merge keys work, within bounds.

**Environment.** `${{NAME}}` and `${{NAME:-default}}` are replaced in the values under `server`, `auth`, `broker`, `api`,
`log` and `webhooks`; `$$` is a literal `$`. `channeld run` refuses a variable that is not set, `channeld validate` warns.

**Paths** of files are relative to the file that names them. **Unknown keys** are errors everywhere; keys that start with
`x-` are allowed everywhere and ignored. What the language has and this version of the server does not do yet is refused
with [CH710](diagnostics.md#ch710).

Templates are described in [templates and guarantees](../topics/templates.md).
"""


def resolved(schema: Schema) -> Schema:
    """A schema with its reference followed; its own words win over those of what it refers to."""
    parts = [schema]
    if "$ref" in schema:
        parts.append(LANGUAGE["definitions"][schema["$ref"].rpartition("/")[2]])
    parts += schema.get("allOf", [])
    if len(parts) == 1:
        return schema
    together: dict[str, Any] = {}
    for part in parts[1:]:
        together |= resolved(part)
    return together | {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}


KINDS = {
    "address": "address",
    "authenticator": "a mapping with `type`",
    "call": "`module:function`",
    "duration": "duration",
    "file_text": "text or `{file: PATH}`",
    "hook": "`module:function`, or `{call: …, thread: true}`",
    "jwks": "https URL or `{file: PATH}`",
    "network": "address or network",
    "path": "path",
    "private": "text",
    "rate": "rate",
    "rate_text": "rate",
    "secret": "text or `{file: PATH}`",
    "secrets": "text, `{file: PATH}`, or a list of them",
    "size": "size",
    "tokens": "list, or `{file: PATH}`",
}
SIMPLE = {"string": "text", "boolean": "`true` or `false`", "integer": "whole number"}


def takes(schema: Schema) -> str:
    """What a key takes, in a few words."""
    schema = resolved(schema)
    kind = schema.get("x-kind", "")
    if kind in KINDS:
        return KINDS[kind] + bounds(schema)
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return ", or ".join(dict.fromkeys(takes(one) for one in schema["anyOf"]))
    if schema.get("type") == "object":
        return "mapping"
    inner = takes(schema["items"]) if schema.get("type") == "array" else ""
    if inner:
        return "list of mappings" if inner == "mapping" else f"list of: {inner}"
    return SIMPLE.get(schema.get("type", ""), "any value") + bounds(schema)


def bounds(schema: Schema) -> str:
    """The range of a number or a duration."""
    least = schema.get("x-minimum", schema.get("minimum"))
    most = schema.get("x-maximum", schema.get("maximum"))
    if least is not None and most is not None:
        return f", {least} to {most}"
    return (
        ""
        if least is None and most is None
        else f", at least {least}"
        if most is None
        else f", at most {most}"
    )


def default(schema: Schema, *, required: bool) -> str:
    """A key's default as YAML."""
    if required:
        return "**required**"
    value = resolved(schema).get("default")
    if value in (None, {}, [], ""):
        return ""
    return "`" + (value if isinstance(value, str) else yaml_like(value)) + "`"


def yaml_like(value: object) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {yaml_like(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(yaml_like, value)) + "]"
    return json.dumps(value) if isinstance(value, bool) else str(value)


def mappings(schema: Schema) -> Iterator[Schema]:
    """The forms of a schema that are mappings with known keys."""
    schema = resolved(schema)
    if "properties" in schema:
        yield schema
    for one in schema.get("anyOf", []):
        yield from mappings(one)


def section(name: str, schema: Schema) -> Iterator[str]:
    """The section of one mapping, then those of the mappings in it."""
    properties: Schema = schema["properties"]
    needed = schema.get("required", [])
    rows = []
    for key, one in properties.items():
        said = resolved(one)
        text = said.get("description", "")
        shown = [f"`{yaml_like(example)}`" for example in said.get("examples", [])[:3]]
        if shown:
            text += f" For example {', '.join(shown)}."
        rows.append([f"`{key}`", takes(one), default(one, required=key in needed), text])
    yield f"## {name}\n"
    if schema.get("description"):
        yield schema["description"] + "\n"
    yield table(["key", "takes", "default", "meaning"], rows) + "\n"
    for key, one in properties.items():
        yield from below(key if name == "The file" else f"{name}.{key}", resolved(one))


# Their short words in the tables, or the page's head, say all of it.
PLAIN = frozenset({"file_text", "hook", "jwks", "rate", "secret", "secrets"})


def below(name: str, schema: Schema) -> Iterator[str]:
    """The sections of what a key's value holds."""
    if schema.get("x-kind") in PLAIN:
        return
    for form in mappings(schema):
        yield from section(name, form)
    many = schema.get("additionalProperties")
    if isinstance(many, dict) and not schema.get("properties"):
        yield from named(f"{name}.NAME", resolved(many))
    items = resolved(schema.get("items", {}))
    if "properties" in items:
        yield from section(f"{name}[]", items)


def named(name: str, schema: Schema) -> Iterator[str]:
    """The sections of what a name stands for; one for each `type` where that decides."""
    if "x-tag" not in schema:
        yield from below(name, schema)
        return
    for form in schema["anyOf"]:
        known = resolved(form)
        yield from section(f"{name}, type: {known['properties']['type']['const']}", known)


def config_page() -> str:
    """`config.md`."""
    top = {**LANGUAGE, "description": ""}
    return CONFIG_HEAD + "\n" + "\n".join(section("The file", top))


# ------------------------------------------------------------------------------------------------- diagnostics.md

GROUPS = {
    "CH0": "YAML",
    "CH1": "Structure",
    "CH2": "Schemas",
    "CH3": "Paths, routes and templates",
    "CH4": "Authentication and security",
    "CH5": "Hooks",
    "CH6": "Limits, history and presence",
    "CH7": "Deployment and style",
    "CH8": "Scenario files",
    "D1": "Changes: channels and paths",
    "D2": "Changes: messages and events",
    "D3": "Changes: schemas",
    "D4": "Changes: who may connect, and to which rooms",
    "D5": "Changes: limits, history, presence",
    "D6": "Changes: where frames go, and what is in them",
    "D7": "Changes: the rest",
}

DIAGNOSTICS_HEAD = f"""{MADE}
# Diagnostics

What `channeld validate` and the other commands can find, each with an example that gives it and one that does not. A code
is never reused. Errors stop the server; warnings fail with `--strict`; infos never fail. `channeld explain CODE` shows one
of these entries in the terminal, and `# channeld: ignore[CODE] reason` at the end of a line, or on a line before it,
silences a warning or an info there. Codes that begin with D are those of `channeld diff`, which calls them breaking, dangerous
or safe.

"""

CHANGES = {"error": "breaking", "warning": "dangerous", "info": "safe"}


def severity_of(entry: Entry) -> str:
    """How bad it is, in the words of the command that says it."""
    severity = str(entry.severity)
    return CHANGES[severity] if entry.code.startswith("D") else severity


def group_of(code: str) -> str:
    """The heading that a code belongs under."""
    return GROUPS.get(code[:-2], code[:-2])


def diagnostics_page() -> str:
    """`diagnostics.md`."""
    entries = sorted(CATALOGUE.values(), key=lambda entry: entry.code)
    rows = [
        [f"[{entry.code}](#{entry.code.lower()})", severity_of(entry), entry.title]
        for entry in entries
    ]
    lines = [DIAGNOSTICS_HEAD + table(["code", "severity", "what"], rows)]
    heading = ""
    for entry in entries:
        if group_of(entry.code) != heading:
            heading = group_of(entry.code)
            lines.append(f"\n## {heading}")
        lines.append(
            f"\n### {entry.code}\n\n**{entry.title}** ({severity_of(entry)}, `{entry.name}`)\n"
        )
        lines.append(entry.explanation.strip())
        for word, example in (("Wrong", entry.wrong), ("Right", entry.right)):
            if example:
                # Not tagged `yaml`: the catalogue's own tests try each of these.
                lines.append(f"\n{word}:\n\n{fenced(example)}")
    return "\n".join(lines) + "\n"


def fenced(text: str, tag: str = "text") -> str:
    """A fenced block; control characters are shown as they are escaped."""
    shown = re.sub(r"[^\n\t -~\u00a0-\U0010ffff]", lambda found: repr(found[0])[1:-1], text)
    return f"```{tag}\n" + shown.strip("\n") + "\n```"


# --------------------------------------------------------------------------------------------------------- cli.md

CLI_HEAD = f"""{MADE}
# The command line

Every command reads `channels.yaml` in the current folder unless it is given a file, prints results on stdout and everything
else on stderr, and colours only on a terminal (and not where `NO_COLOR` is set).

| exit status | means |
|---|---|
| 0 | fine |
| 1 | the thing that was checked is bad: an invalid configuration, a failed scenario, a breaking change |
| 2 | wrong usage, a file that can't be read, or a bug of channeld |
| 130 | interrupted |
"""


def help_of(command: click.Command, name: str) -> str:
    """A command's help, 100 columns wide."""
    context = click.Context(command, info_name=name, terminal_width=100, max_content_width=100)
    return command.get_help(context).rstrip()


def commands_below(command: click.Command, name: str) -> Iterator[str]:
    """A command's section, then those of its commands."""
    yield f"\n## {name}\n\n{fenced(help_of(command, name))}\n"
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for one in command.list_commands(context):
            below = command.get_command(context, one)
            if below is not None:
                yield from commands_below(below, f"{name} {one}")


def cli_page() -> str:
    """`cli.md`."""
    return CLI_HEAD + "".join(commands_below(cli, "channeld"))


# ----------------------------------------------------------------------------------- parts of pages written by hand


def error_codes() -> str:
    """The error codes, each with the close code that follows."""
    rows = [[f"`{code}`", *ERROR_CODES[code]] for code in ErrorCode]
    return table(["code", "when", "extra fields", "then"], rows)


# What the enum does not say; a code that is missing here stops the generator.
ERROR_CODES: Mapping[ErrorCode, tuple[str, str, str]] = {
    ErrorCode.INVALID_JSON: (
        "The text is not one JSON object with a string `type`, is nested too deep, or holds a number that does not fit",
        "",
        "stays open",
    ),
    ErrorCode.UNKNOWN_TYPE: ("The channel declares no such message type", "", "stays open"),
    ErrorCode.INVALID_MESSAGE: (
        "The schema of the type refuses it, or a reserved frame or an `id` has the wrong form",
        "`errors`: at most 10 of `{path, message, keyword}`",
        "stays open",
    ),
    ErrorCode.UNAUTHORIZED: (
        "No token, or one that does not pass. Never says why; the log does",
        "",
        "close 4401, for a refused renewal too",
    ),
    ErrorCode.TOKEN_EXPIRED: ("The token ended and was not renewed", "", "close 4401"),
    ErrorCode.FORBIDDEN: (
        "`require` is not met, or the room may not be joined, sent to or looked at",
        "`room`, where it is about one",
        "stays open; close 4403 where the channel refuses the connection",
    ),
    ErrorCode.RATE_LIMITED: (
        "Over the type's `rate`, or over `limits.messages`",
        "`retry_after`: seconds",
        "stays open",
    ),
    ErrorCode.LIMIT_EXCEEDED: ("Too many rooms", "`limit`", "stays open"),
    ErrorCode.REJECTED: (
        "A hook raised `Reject`; the hook may bring a code of its own",
        "the hook's",
        "stays open; a `connect` hook's closes",
    ),
    ErrorCode.TOO_LARGE: ("Over `limits.message_size`", "`limit`: bytes", "close 1009"),
    ErrorCode.UNAVAILABLE: (
        "The broker is away: the message was not routed",
        "`retry_after`: seconds",
        "stays open",
    ),
    ErrorCode.INTERNAL_ERROR: (
        "A hook raised or took too long, or the server has a bug",
        "`ref`: the id in the log's line",
        "stays open; close 1011 while connecting",
    ),
}

CLOSE_CODES: Mapping[CloseCode, str] = {
    CloseCode.NORMAL: "The client's own, or a hook's `ctx.close()`",
    CloseCode.GOING_AWAY: "The server stops for good",
    CloseCode.PROTOCOL_ERROR: "The bytes break RFC 6455: unmasked, reserved bits or opcodes, bad fragments",
    CloseCode.UNSUPPORTED_DATA: "A binary message",
    CloseCode.NO_STATUS: "Seen, never sent: the Close frame had no code",
    CloseCode.ABNORMAL: "Seen, never sent: the connection ended without a Close frame, or pings went unanswered",
    CloseCode.INVALID_DATA: "Text that is not UTF-8",
    CloseCode.POLICY_VIOLATION: "A message in more fragments than sense makes",
    CloseCode.MESSAGE_TOO_BIG: "A message over `limits.message_size`",
    CloseCode.INTERNAL_ERROR: "A bug of the server, or a `connect` step that failed",
    CloseCode.SERVICE_RESTART: "The server drains, or a reload changed this channel",
    CloseCode.TRY_AGAIN_LATER: "The broker was away while connecting",
    CloseCode.UNAUTHORIZED: "No token, a bad one, or one that ended: come back with a new one",
    CloseCode.FORBIDDEN: "This user may not be on this channel, or a `connect` hook refused",
    CloseCode.REPLACED: "A newer connection of this user took the place (`connections_per_user`)",
    CloseCode.KICKED: "Sent away through the control API",
    CloseCode.TOO_MANY_ERRORS: "Over `limits.errors`",
    CloseCode.TOO_SLOW: "More than `limits.outbox` was waiting for this client",
}


def close_codes() -> str:
    """The close codes, and whether a client comes back after each."""
    rows = [
        [str(int(code)), CLOSE_CODES[code], "yes" if may_come_back(code) else "no"]
        for code in CloseCode
    ]
    return table(["code", "when", "come back unchanged"], rows)


HTTP_STATUSES: Mapping[int, str] = {
    400: "The handshake breaks RFC 6455 section 4.2 or HTTP itself",
    403: "The `Origin` is not one of `server.allowed_origins`",
    404: "No channel has this path, or a param does not satisfy its schema",
    405: "A method other than GET",
    426: "A plain GET, or a version of the protocol other than 13",
    429: "Over `limits.connections_per_address`; with `Retry-After`",
    431: "A request head over 16 KiB",
    503: "Over `limits.connections`; with `Retry-After`",
}


def http_answers() -> str:
    """The answers before the upgrade."""
    rows = [[str(s), refusal.title, HTTP_STATUSES[s]] for s, refusal in sorted(REFUSALS.items())]
    return table(["status", "title", "when"], rows)


def reserved_types() -> str:
    """The types that a configuration cannot declare."""
    return ", ".join(f"`{kind}`" for kind in sorted(RESERVED)) + "."


def log_events() -> str:
    """Every line that the server writes."""
    rows = [
        [f"`{name}`", event.level, ", ".join(f"`{field}`" for field in event.fields), event.meaning]
        for name, event in EVENTS.items()
    ]
    return table(["event", "level", "may carry", "meaning"], rows)


def metrics() -> str:
    """Every metric."""
    rows = [
        [f"`{name}`", one.kind, ", ".join(f"`{label}`" for label in one.labels), one.help]
        for name, one in METRICS.items()
    ]
    buckets = ", ".join(f"{bound:g}" for bound in BUCKETS)
    return (
        table(["metric", "kind", "labels", "counts"], rows)
        + f"\n\nHistograms have these buckets, in seconds: {buckets}."
    )


def members(kind: type) -> Iterator[str]:
    """The public names of a class, with signatures and what they do."""
    for base in reversed([one for one in kind.__mro__ if one.__module__ == "channeld.hooks"]):
        for name, member in vars(base).items():
            if name.startswith("_"):
                continue
            if isinstance(member, property):
                yield f"- `ctx.{name}`: {cell(inspect.getdoc(member) or '')}"
            elif inspect.isfunction(member):
                word = "await " if inspect.iscoroutinefunction(member) else ""
                yield f"- `{word}ctx.{name}{signature(member)}`: {cell(inspect.getdoc(member) or '')}"


def signature(function: Callable[..., object]) -> str:
    """A signature without `self` and without annotations, which the types say."""
    found = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in found.parameters.items()
        if name != "self"
    ]
    return str(
        found.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
    ).replace("NOTHING", "{}")


def context_reads() -> str:
    """What both contexts can read."""
    return "\n".join(line for line in members(Context) if "(" not in line.partition(":")[0])


def context_verbs() -> str:
    """What an async hook can do."""
    return "\n".join(line for line in members(Context) if "(" in line.partition(":")[0])


def sync_verbs() -> str:
    """What a sync hook can do."""
    return "\n".join(line for line in members(SyncContext) if "(" in line.partition(":")[0])


def hook_values() -> str:
    """`Reject`, `User` and `Request`, in their own words."""
    blocks = []
    for kind in (Reject, User, Request):
        text = inspect.getdoc(kind) or ""
        blocks.append(f"### `{kind.__name__}{signature(kind)}`\n\n{arguments(text)}")
    return "\n\n".join(blocks)


def arguments(doc: str) -> str:
    """A docstring with its `Args` as a list."""
    text, _, args = doc.partition("Args:\n")
    entries = re.split(r"\n(?=    \w+: )", "\n" + args.rstrip()) if args else []
    listed = [
        re.sub(r"^\s*(\w+): ", r"- `\1`: ", " ".join(e.split())) for e in entries if e.strip()
    ]
    return "\n".join([text.strip(), "", *listed]).strip()


def command_names() -> str:
    """The commands that there are."""
    rows = [
        [f"[`channeld {name}`](cli.md#channeld-{name})", line]
        for name, (_, line) in COMMANDS.items()
    ]
    return table(["command", "does"], rows)


def properties_of(schema: Any) -> list[str]:
    """The names of a mapping's keys."""
    return list(schema.get("properties", {}))


def api_requests() -> str:
    """The requests of the control API."""
    rows = [
        [
            f"`{one.method} {one.path}`" + (" *open*" if one.is_open else ""),
            one.summary,
            ", ".join(f"`{name}`" for name in properties_of(one.query)),
        ]
        for one in ROUTES
        if one.described
    ]
    return table(["request", "does", "query"], rows)


BODIES: Mapping[str, Any] = {
    "POST /v1/publish": forms.PUBLISH,
    "POST /v1/disconnect": forms.DISCONNECT,
    "POST /v1/subscribe": forms.MEMBERSHIP,
    "POST /v1/unsubscribe": forms.MEMBERSHIP,
}


def api_bodies() -> str:
    """The fields of the bodies; what goes only with what is in the OpenAPI document."""
    rows = [
        [
            f"`{request}`",
            f"`{name}`",
            "**required**" if name in form["required"] else "",
            takes(one),
        ]
        for request, form in BODIES.items()
        for name, one in form["properties"].items()
    ]
    return table(["request", "field", "", "takes"], rows)


def api_statuses() -> str:
    """What the answers mean, in the words of the OpenAPI document."""
    meanings: dict[str, str] = {}
    document: Any = describe(ROUTES)
    for path in document["paths"].values():
        for operation in path.values():
            for status, answer in operation.get("responses", {}).items():
                if status >= "400":
                    # Without the phrase, whose words depend on Python's version.
                    meanings[status] = answer["description"].partition(": ")[2]
    return table(["status", "means"], [list(row) for row in sorted(meanings.items())])


def pages_of(folder: str) -> Callable[[], str]:
    """A list of the pages in a folder of `docs/`, by their headings."""

    def listed() -> str:
        paths = sorted((HERE.parent / folder).glob("*.md"))
        heads = [path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") for path in paths]
        return "\n".join(
            f"- [{head}]({folder}/{path.name})" for head, path in zip(heads, paths, strict=True)
        )

    return listed


PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "../README.md": {name: pages_of(name) for name in ("guides", "topics", "decisions")},
    "wire.md": {
        "reserved": reserved_types,
        "error-codes": error_codes,
        "close-codes": close_codes,
        "http-answers": http_answers,
    },
    "hooks.md": {
        "reads": context_reads,
        "verbs": context_verbs,
        "sync-verbs": sync_verbs,
        "values": hook_values,
    },
    "control-api.md": {"requests": api_requests, "bodies": api_bodies, "statuses": api_statuses},
    "logs-and-metrics.md": {"events": log_events, "metrics": metrics},
    "README.md": {"commands": command_names},
}


def with_parts(name: str) -> str:
    """A page written by hand, with its generated parts put in anew.

    Raises:
        ValueError: a part has no place in the page, or a place has no part.
    """
    text = (HERE / name).read_text(encoding="utf-8")
    places = re.findall(r"<!-- begin: ([\w-]+) -->", text)
    if sorted(places) != sorted(PARTS[name]):
        raise ValueError(f"{name} has places for {places}, and the parts are {list(PARTS[name])}")
    for part, make in PARTS[name].items():
        begin, end = f"<!-- begin: {part} -->\n", f"<!-- end: {part} -->"
        before, _, rest = text.partition(begin)
        text = before + begin + make() + "\n" + end + rest.partition(end)[2]
    return text


# --------------------------------------------------------------------------------------------- twelve-mistakes.md

MISTAKES = "docs/reference/twelve-mistakes.yaml"

TWELVE_HEAD = f"""{MADE}
# Twelve mistakes, found before the server starts

This configuration is wrong in twelve places. `channeld validate` finds all of them at once, in one run of well under a
second, and none of the twelve findings is only a consequence of another:

"""


def mistakes_report(*, colour: bool) -> str:
    """What `channeld validate` says of the configuration with twelve mistakes."""
    checked = check(str(ROOT / MISTAKES), environ={})
    text = render_text(checked.report, checked.sources, colour=colour)
    short = text.replace(str(ROOT / MISTAKES), "channels.yaml")
    return re.sub(r"looked in \S+ and", "looked in ./ and", short)


def twelve_page() -> str:
    """`twelve-mistakes.md`."""
    config = (ROOT / MISTAKES).read_text(encoding="utf-8")
    return (
        TWELVE_HEAD
        + fenced(config, "yaml bad")
        + "\n\n"
        + "![The terminal with the twelve findings](twelve-mistakes.svg)\n\nThe same as text:\n\n"
        + fenced(mistakes_report(colour=False))
        + "\n\nEach code is explained in [Diagnostics](diagnostics.md), and by `channeld explain CODE`.\n"
    )


SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<!-- Made by docs/reference/generate.py; do not edit. -->
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px; \
line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def twelve_picture() -> str:
    """The same in a terminal's colours, as an SVG that loads nothing from anywhere."""
    console = Console(
        record=True,
        width=100,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    console.print(Text("$ channeld validate"))
    console.print(Text.from_ansi(mistakes_report(colour=True)))
    svg = console.export_svg(title="channeld validate", code_format=SVG, unique_id="twelve")
    return re.sub(r"[ \t]+\n", "\n", svg)


PAGES: Mapping[str, Callable[[], str]] = {
    "config.md": config_page,
    "diagnostics.md": diagnostics_page,
    "cli.md": cli_page,
    "twelve-mistakes.md": twelve_page,
    "twelve-mistakes.svg": twelve_picture,
    **{name: lambda name=name: with_parts(name) for name in PARTS},  # type: ignore[misc]
}


def outdated() -> dict[str, str]:
    """The pages that differ from what they should be, with what they should be."""
    wanted = {name: make() for name, make in PAGES.items()}
    return {name: text for name, text in wanted.items() if current(name) != text}


def current(name: str) -> str:
    """A page as it is, empty where there is none."""
    path = HERE / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main() -> int:
    """Write the pages that differ, or with `--check` only name them."""
    different = outdated()
    for name, text in different.items():
        click.echo(
            f"docs/reference/{name} {'is out of date' if '--check' in sys.argv else 'written'}"
        )
        if "--check" not in sys.argv:
            (HERE / name).write_text(text, encoding="utf-8")
    return 1 if different and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
