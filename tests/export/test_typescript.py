import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from channeld.export.contract import Contract
from channeld.export.typescript import channel_table, javascript, typescript
from tests.export.conftest import ContractOf
from tests.npm_parts import tsc

# As strict as a project of somebody else's may be.
STRICTER = ("--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--noEmit")
USE = """
import { ChannelError, connect, type RoomReceive, type State } from "./shipped.js";

const states: State[] = [];
const room = connect("wss://x", "room", { room_id: "general" }, {
  token: async () => "t", WebSocket, onState: (state) => states.push(state), onGap: (room: string) => room,
});
const off: () => void = room.on("message", (frame) => {
  const text: string = frame.text, from: string = frame.from, pos: string = frame.pos;
  // @ts-expect-error nobody declared it
  frame.txet;
});
room.on("presence", (frame) => { if (frame.event === "state") frame.users[0]?.info.name.length; });
room.on("*", (frame) => { const other: unknown = frame["anything"]; });
async function main(): Promise<void> {
  const answer = await room.send({ type: "message", text: "hi" });
  const kind: "ack" | "reply" = answer.type;
  const history = await room.send({ type: "history", limit: 3 });
  const first = history.frames[0];
  if (first?.type === "announce") { const level: "info" | "warning" | undefined = first.level; }
  const joined = await connect("wss://x", "lobby", {}).subscribe("general");
  const recovered: boolean | undefined = joined.recovered;
}
function narrowed(frame: RoomReceive): string {
  switch (frame.type) {
    case "message": return frame.text;
    case "error": return frame.code === "RATE_LIMITED" ? String(frame.retry_after) : frame.code;
    default: return frame.type;
  }
}
// @ts-expect-error the channel has no state of presence
room.setState({ mood: "busy" });
const info: string | undefined = room.present().get("ann")?.info.name;
main().catch((error: unknown) => { if (error instanceof ChannelError) error.frame?.type; });
// @ts-expect-error no such type
room.push({ type: "nope" });
// @ts-expect-error no such field
room.push({ type: "message", text: "a", txet: "b" });
// @ts-expect-error the field is required
room.push({ type: "message" });
// @ts-expect-error the param is required
connect("wss://x", "room", {});
// @ts-expect-error no such channel
connect("wss://x", "rom", {});
// @ts-expect-error no such frame comes
room.on("nope", () => {});
"""
WITH_STATE = """
channels:
  desk:
    path: /desk
    auth: none
    rooms: desk
    presence: {state: {type: object, properties: {mood: {type: string}}, additionalProperties: false}}
"""
USE_STATE = """
import { connect } from "./desk.js";

const desk = connect("wss://x", "desk", {});
desk.setState({ mood: "busy" }, "desk");
desk.setState(null);
const mood: string | undefined = desk.present("desk").get("ann")?.state?.mood;
// @ts-expect-error no such field of a state
desk.setState({ mod: "busy" });
"""


def examples(contract: Contract, module: str) -> Iterator[str]:
    """Every example, as what a program sends or takes."""
    names = ", ".join(name for c in contract.channels for name in (c.send_name, c.receive_name))
    yield f'import type {{ {names} }} from "./{module}.js";'
    for channel in contract.channels:
        for each in channel.sent:
            for frame in each.examples:
                yield f"(({json.dumps(frame)}) satisfies {channel.send_name});"
        # What is taken may have more than is declared.
        taker = f"take{channel.receive_name}"
        yield f"function {taker}<F extends {channel.receive_name}>(frame: F): F {{ return frame; }}"
        for event in channel.received:
            yield from (f"{taker}({json.dumps(frame)});" for frame in event.examples)


@pytest.mark.slow
def test_types_client_examples_and_use_compile(
    shipped: Contract, nasty: Contract, contract_of: ContractOf, tmp_path: Path
) -> None:
    desk = contract_of(WITH_STATE)
    for name, contract in (("shipped", shipped), ("nasty", nasty), ("desk", desk)):
        tmp_path.joinpath(f"{name}.ts").write_text(typescript(contract, client=True))
        text = "\n".join(examples(contract, name))
        tmp_path.joinpath(f"{name}_examples.ts").write_text(text)
    tmp_path.joinpath("types.ts").write_text(typescript(nasty))
    tmp_path.joinpath("use.ts").write_text(USE)
    tmp_path.joinpath("use_state.ts").write_text(USE_STATE)
    files = sorted(path.name for path in tmp_path.glob("*.ts"))
    assert tsc("--lib", "es2022,dom", *STRICTER, *files, folder=tmp_path) == ""


def test_types_alone_have_no_client(shipped: Contract) -> None:
    text = typescript(shipped)
    assert "export interface ChannelMap {" in text
    assert "class ChannelClient" not in text


def test_a_routed_message_reads_well(shipped: Contract) -> None:
    assert (
        '/** Word from an admin to everyone in every room. */\n'
        "export type RoomReceiveAnnounce = {\n"
        '  type: "announce";\n'
        "  from: string;\n"
        "  text: string;\n"
        "  /** How loud the client should show it. */\n"
        '  level?: "info" | "warning";\n'
        "};\n"
    ) in typescript(shipped)  # fmt: skip


def test_a_comment_can_not_be_ended_from_within(nasty: Contract) -> None:
    text = typescript(nasty)
    assert "a comment */" not in text
    assert "   * Ends a comment *\\/ and" in text


def test_line_ends_of_unicode_are_escaped(contract_of: ContractOf) -> None:
    contract = contract_of(
        'channels: {c: {path: /c, auth: none, events: {x: {schema: {properties: {a: {const: "\\u2028"}}}}}}}'
    )
    assert 'a?: "\\u2028"' in typescript(contract)


def test_patterns_of_names_do_not_speak_of_the_type(contract_of: ContractOf) -> None:
    contract = contract_of(
        'channels: {c: {path: /c, auth: none, events: {x: {schema: {patternProperties: {".": {type: integer}}}}}}}'
    )
    assert 'export type CReceiveX = {\n  type: "x";\n' in typescript(contract)


def test_a_prototype_is_a_key_like_any_other(nasty: Contract) -> None:
    assert '  ["__proto__"]: {\n    path: "/%C3%BC/' in channel_table(nasty)


def test_javascript_has_the_paths_and_the_client(shipped: Contract) -> None:
    text = javascript(shipped)
    assert '  room: {\n    path: "/rooms/{room_id}",\n    once: [],\n    query: [],\n' in text
    assert text.count("export class ChannelClient {") == 1
    assert text.endswith("}\n")
