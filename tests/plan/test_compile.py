"""The whole way from text to plan; and each code's own example, wrong and right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from channeld.diagnostics.catalogue import CATALOGUE, CatalogueEntry
from channeld.plan.load import check

Compile = Callable[..., Any]
HOOKS = [entry for entry in CATALOGUE.values() if entry.code.startswith("CH5")]
# CH308 and CH313 are found before anything is compiled.
ROUTES = [
    entry
    for entry in CATALOGUE.values()
    if entry.code.startswith("CH3") and entry.code not in {"CH308", "CH313"}
]

WHOLE = """channeld: 1
server: {limits: {outbox: 2MiB, messages: 5/s}}
auth:
  session:
    type: jwt
    algorithms: [HS256]
    secret: ${CHANNELD_SECRET}
    user: "u-{claims.sub}"
    claims: {type: object, required: [name], properties: {name: {type: string, maxLength: 80}}}
  staff: {type: tokens, tokens: {file: tokens.yaml}}
channels:
  room:
    path: /rooms/{room_id}
    params: {room_id: {type: string, pattern: "^[a-z0-9-]{1,64}$"}}
    auth: session
    require: {rooms: "{params.room_id}"}
    rooms: {join: "{params.room_id}", subscribe: {allow: ["side-*", "own-{user.id}"], max: 3}}
    presence: {info: {name: "{claims.name}"}, grace: 1s}
    history: {size: 10, ttl: 1h}
    limits: {messages: 1/s, connections_per_user: 2}
    messages:
      message:
        schema: {type: object, required: [text], properties: {text: {type: string, maxLength: 9}}, additionalProperties: false}
        route: room
        rate: 2/s
        stamp: {from: "{user.id}", at: "{now}"}
      say:
        schema: {type: object, required: [text], properties: {text: {type: string, maxLength: 9}}, additionalProperties: false}
        route: global
        history: false
        emit: {type: said, text: "{message.text}"}
        require: {role: [admin, owner]}
    events:
      said: {schema: {type: object, required: [text], properties: {text: {type: string, maxLength: 9}}}}
  lobby:
    path: /lobby
    auth: {use: staff, optional: true}
    presence: {scope: channel, info: {id: "{user.id}"}}
"""


def test_a_whole_configuration_is_compiled(compile_text: Compile) -> None:
    outcome = compile_text(WHOLE)
    assert outcome.compiled.report.errors == []
    plan = outcome.compiled.plan
    assert list(plan.channels) == ["room", "lobby"]
    assert plan.lifespans == ()
    assert plan.limits.outbox == 2 * 1024 * 1024
    assert plan.match("/rooms/x-1").params == {"room_id": "x-1"}
    assert plan.match("/rooms/x-1").channel is plan.channels["room"]
    assert plan.match("/rooms/NO") is None


def test_an_error_leaves_no_plan(compile_text: Compile) -> None:
    compiled = compile_text(WHOLE.replace("params.room_id", "params.rom_id")).compiled
    assert compiled.plan is None
    assert {finding.code for finding in compiled.report.errors} == {"CH302"}


def test_every_mistake_is_told_at_once(compile_text: Compile) -> None:
    text = WHOLE.replace("{claims.name}", "{claims.nam}").replace("{message.text}", "{message.txt}")
    report = compile_text(text.replace("{now}", "{nov}")).compiled.report
    assert sorted(finding.code for finding in report.errors) == ["CH309", "CH310", "CH319"]


def test_the_user_id_is_made_of_claims(compile_text: Compile, session: Callable[..., Any]) -> None:
    (auth,) = compile_text(WHOLE).compiled.plan.channels["room"].auth
    assert auth.compiled.user(session(claims={"sub": "ann"}), {}) == "u-ann"
    assert auth.compiled.claims.accepts({"name": "Ann"})
    assert not auth.compiled.claims.accepts({})


def test_two_compilations_behave_the_same(
    compile_text: Compile, session: Callable[..., Any]
) -> None:
    plans = [compile_text(WHOLE).compiled.plan for _ in range(2)]
    scope = session(user_id="ann", claims={"name": "Ann"}, params={"room_id": "x"}, room="x")
    frames = []
    for plan in plans:
        room = plan.channels["room"]
        stamped = {key: t(scope, {"text": "hi"}) for key, t in room.messages["message"].stamps}
        emitted = room.messages["say"].emit(scope, {"text": "hi"})
        frames.append((stamped, emitted, room.presence.info(scope, {}), room.join[0](scope, {})))
    assert frames[0] == frames[1]
    assert plans[0].channels["room"].contract == plans[1].channels["room"].contract


@pytest.mark.parametrize(
    ("before", "after", "equal"),
    [
        ("grace: 1s", "grace: 2s", True),
        ("rate: 2/s", "rate: 3/s", True),
        ("path: /rooms/", "path: /room/", False),
        ("auth: session", "auth: staff", False),
        ("u-{claims.sub}", "{claims.sub}", False),
        ('rooms: "{params.room_id}"}', 'rooms: "x-{params.room_id}"}', False),
    ],
)
def test_the_contract_is_what_a_live_connection_relies_on(
    before: str, after: str, equal: bool, compile_text: Compile
) -> None:
    assert WHOLE.count(before) == 1
    changed = WHOLE.replace(before, after).replace("{claims.name}", "{claims.name?}")
    plans = [compile_text(text).compiled.plan for text in (WHOLE, changed)]
    contracts = [plan.channels["room"].contract if plan else None for plan in plans]
    assert (contracts[0] == contracts[1]) is equal


def test_many_channels_compile(compile_text: Compile) -> None:
    schema = "{type: object, properties: {text: {type: string, maxLength: 9}}, additionalProperties: false}"
    lines = "".join(
        f"  c{i}: {{path: '/api/c{i}/{{id}}', auth: none, rooms: '{{params.id}}',"
        f" messages: {{say: {{schema: {schema}, route: room}}}}}}\n"
        for i in range(200)
    )
    plan = compile_text(f"channeld: 1\nchannels:\n{lines}").compiled.plan
    assert plan.match("/api/c199/x").channel.name == "c199"


@pytest.mark.parametrize("entry", ROUTES, ids=lambda entry: entry.code)
def test_routes_example(entry: CatalogueEntry, compile_text: Compile) -> None:
    wrong, right = compile_text(entry.wrong), compile_text(entry.right)
    assert wrong.codes() == [entry.code]
    assert right.codes() == []
    assert (wrong.read.errors, right.read.errors) == ([], [])


@pytest.mark.parametrize("entry", HOOKS, ids=lambda entry: entry.code)
def test_hooks_example(entry: CatalogueEntry, compile_text: Compile, tmp_path: Path) -> None:
    for text, wrong in ((entry.wrong, True), (entry.right, False)):
        module = text.partition("\n")[0].removeprefix("# chat.py: ")
        root = tmp_path / str(wrong)
        root.mkdir()
        (root / "chat.py").write_text(module.replace("|", "\n"))
        outcome = compile_text(text, root=str(root), import_hooks=True)
        assert (entry.code in outcome.codes()) is wrong
        assert wrong or not outcome.compiled.report.errors


def test_misspelt_authenticator_is_one_finding_and_nothing_follows_from_it(tmp_path: Path) -> None:
    text = """channeld: 1
auth: {session: {type: tokens, tokens: [{token: "sha256:%s", user: ann}]}}
channels:
  a:
    path: /a
    description: One.
    auth: sesion
    messages: {say: {schema: {type: object, additionalProperties: false}, route: sender,
                     stamp: {from: "{user.id}", name: "{claims.name}"}}}
""" % ("0123456789abcdef" * 4)
    file = tmp_path / "channels.yaml"
    file.write_text(text)
    assert [finding.code for finding in check(str(file)).report] == ["CH401"]
