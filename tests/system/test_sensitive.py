"""A value that a schema marks with `x-sensitive` is in nothing that a command or the server says, whatever becomes of it."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import httpx2
import jwt
import pytest

from channeld.cli.main import COMMANDS, run
from tests.lsp.editor import editing
from tests.server.test_otel import receiver
from tests.system.kit import (
    PATIENCE,
    SECRET,
    Served,
    command,
    environment,
    eventually,
    process_of,
)

Serve = Callable[..., Served]

MARKED = "marked-canary-4711"
KEY = "the-key-of-the-tests-of-what-is-marked"
CONFIG = f"""\
channeld: 1
server: {{bind: "127.0.0.1:0", drain: 0s}}
api: {{bind: "127.0.0.1:0", keys: ["${{API_KEY}}"]}}
log: {{level: debug}}
auth:
  session:
    type: jwt
    algorithms: [HS256]
    secret: "${{SECRET}}"
    audience: a
    claims: {{type: object, properties: {{ssn: {{type: string, x-sensitive: true}}, role: {{type: string}}}}}}
channels:
  room:
    path: /rooms/{{id}}
    description: A room.
    auth: session
    rooms: "{{params.id}}"
    presence: {{info: {{ssn: "{{claims.ssn?}}"}}, state: {{type: object, properties: {{mood: {{type: string, x-sensitive: true}}}}}}}}
    history: {{size: 10, ttl: 1m}}
    messages:
      pay:
        schema:
          type: object
          required: [pin]
          properties:
            pin: {{type: string, x-sensitive: true, maxLength: 60}}
            amount: {{type: integer, maximum: 100}}
          additionalProperties: false
        examples: [{{pin: {MARKED}, amount: 1}}]
        stamp: {{ssn: "{{claims.ssn?}}"}}
        route: room
      fail:
        schema: {{type: object, properties: {{pin: {{type: string, x-sensitive: true}}}}, additionalProperties: false}}
        route: sender
        hook: marked_hooks:fail
    events:
      paid: {{schema: {{type: object, properties: {{pin: {{type: string, x-sensitive: true}}}}}}, examples: [{{pin: {MARKED}}}]}}
"""
STRICT = CONFIG.replace("maxLength: 60", "maxLength: 30").replace("maximum: 100", "maximum: 5")
HOOKS = """\
async def fail(ctx, message):
    raise RuntimeError("the hook fails on purpose")
"""
SCENARIOS = f"""\
scenarios:
  - name: what is expected does not come
    clients: {{ann: {{path: /rooms/a, user: ann, claims: {{ssn: {MARKED}}}}}}}
    steps:
      - ann: {{send: {{type: pay, pin: {MARKED}, amount: 1}}}}
      - ann: {{expect: {{type: pay, pin: {MARKED}, amount: 2}}}}
  - name: a message is refused
    clients: {{ann: {{path: /rooms/a, user: ann, claims: {{ssn: {MARKED}}}}}}}
    steps:
      - ann: {{send: {{type: pay, pin: {MARKED}, amount: 1000}}}}
      - ann: {{expect: {{type: pay, pin: {MARKED}}}}}
  - name: a hook raises
    clients: {{ann: {{path: /rooms/a, user: ann, claims: {{ssn: {MARKED}}}}}}}
    steps:
      - ann: {{send: {{type: fail, pin: {MARKED}}}}}
"""
SENT = json.dumps({"type": "pay", "pin": MARKED, "amount": 1})
SHADOWED = json.dumps({"type": "pay", "pin": MARKED, "amount": 9})
REFUSED = json.dumps({"type": "pay", "pin": MARKED, "amount": 1000})
FAILS = json.dumps({"type": "fail", "pin": MARKED})
ANN = ("--user", "ann", "--claim", f"ssn={MARKED}")
LINES = [
    *(("validate", "--format", form) for form in ("text", "json", "github", "sarif", "junit")),
    *(("validate", "bad.yaml", "--format", form) for form in ("text", "json", "github", "sarif")),
    *(("diff", "bad.yaml", "new.yaml", "--format", form) for form in ("text", "json")),
    *(("test", "--coverage", "--format", form) for form in ("text", "json", "junit", "github")),
    ("test", "--fuzz", "20"),
    *(
        ("diff", "channels.yaml", "new.yaml", "--format", form)
        for form in ("text", "json", "github", "markdown")
    ),
    *(("access", "--format", form) for form in ("text", "markdown", "json")),
    ("access", "--as", "ann", "--claim", f"ssn={MARKED}"),
    *(
        ("trace", "/rooms/a", frame, *ANN, "--format", form)
        for frame in (SENT, REFUSED, FAILS)
        for form in ("text", "json")
    ),
    ("routes",),
    *(
        ("export", kind)
        for kind in (
            "asyncapi",
            "jsonschema",
            "typescript",
            "python",
            "javascript",
            "markdown",
            "hooks",
        )
    ),
    ("schema",),
    ("explain", "CH310"),
    ("completion", "bash"),
    ("bench", "--clients", "2", "--for", "300ms", "--json"),
]
# These speak to a server, which has a test of its own below; or make tokens and new projects of nothing that is marked.
ELSEWHERE = frozenset(
    {
        "run",
        "mock",
        "connect",
        "publish",
        "presence",
        "disconnect",
        "revoke",
        "token",
        "init",
        "lsp",
    }
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", SECRET)
    monkeypatch.setenv("API_KEY", KEY)
    for name, text in (
        ("channels.yaml", CONFIG),
        ("new.yaml", STRICT),
        # Its examples do not match, and its findings point at them.
        ("bad.yaml", CONFIG.replace("maxLength: 60", "maxLength: 5")),
        ("it.test.yaml", SCENARIOS),
        ("marked_hooks.py", HOOKS),
    ):
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_what_a_command_says(
    project: Path, capsys: pytest.CaptureFixture[str], line: tuple[str, ...]
) -> None:
    assert run([*line]) in (0, 1)
    captured = capsys.readouterr()
    assert captured.out
    assert MARKED not in captured.out + captured.err


def test_every_command_is_looked_at() -> None:
    assert {line[0] for line in LINES} | ELSEWHERE >= set(COMMANDS)


def test_what_the_server_and_its_clients_say(
    serve: Serve, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yaml = f"{CONFIG}hooks: {{path: {project}}}\n"
    served = serve(yaml, "--shadow", str(project / "new.yaml"), SECRET=SECRET, API_KEY=KEY)
    claims = {"sub": "ann", "aud": "a", "exp": 4_102_444_800, "ssn": MARKED}
    token = jwt.encode(claims, SECRET, "HS256")
    _sent(served)
    said = [*_api(served, token)]
    url = f"ws://{served.events('server_started')[0]['bind'][0]}/rooms/a?token={token}"
    record = project / "recorded.test.yaml"
    status = run(["connect", url, "--send", SENT, "--wait", "pay", "--record", str(record)])
    assert status == 0, capsys.readouterr().err
    capsys.readouterr()  # the client itself shows its user what came
    said.append(record.read_text())
    served.process.send_signal(signal.SIGTERM)
    eventually(lambda: bool(served.events("shadow_summary")))
    log = served.err.text() + served.out.text()
    assert served.events("shadow_refused")
    assert served.events("hook_failed")
    assert MARKED not in log
    assert [one for one in said if MARKED in one] == []


def _sent(served: Served) -> None:
    """A client with a marked claim sends every frame."""
    claims = {"sub": "ann", "aud": "a", "exp": 4_102_444_800, "ssn": MARKED}
    with served.connect(f"/rooms/a?token={jwt.encode(claims, SECRET, 'HS256')}") as client:
        for text in (SENT, SHADOWED, REFUSED, FAILS):
            client.send(**json.loads(text))
        client.send("presence", set={"mood": MARKED})
        client.receive("error")
        client.ask("ping")


def test_what_a_collector_of_traces_gets(serve: Serve, project: Path) -> None:
    with receiver() as (endpoint, spans):
        yaml = f"{CONFIG}hooks: {{path: {project}}}\n"
        how = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "SECRET": SECRET, "API_KEY": KEY}
        served = serve(yaml, **how)
        _sent(served)
        served.process.send_signal(signal.SIGTERM)
        served.wait()
    assert {"handshake", "message pay", "hook marked_hooks:fail"} <= {one.name for one in spans}
    assert [one for one in spans if MARKED in str(one)] == []
    assert MARKED not in served.err.text()


def test_what_a_mock_says(project: Path) -> None:
    line = command("mock", "--bind", "127.0.0.1:0", "--every", "50ms")
    with process_of(line, project, environment(SECRET=SECRET, API_KEY=KEY)) as mocked:
        said = mocked.out.wait_for(lambda text: text.startswith("channeld mocks"))
        mocked.address = said.rpartition(" on ")[2]
        _sent(mocked)
        mocked.process.send_signal(signal.SIGTERM)
        assert mocked.wait() == 0
    assert MARKED not in mocked.out.text() + mocked.err.text()


@pytest.mark.parametrize("name", ["channels.yaml", "bad.yaml", "it.test.yaml"])
def test_what_an_editor_shows(project: Path, name: str) -> None:
    with editing(project) as editor:
        uri = editor.open(project / name)
        if name != "it.test.yaml":  # there is nothing wrong with it
            editor.until(lambda: uri in editor.findings)
        lines = (project / name).read_text().splitlines()
        # Beside the value itself, which the editor shows anyway, nothing may repeat it.
        shown = [
            editor.at(method, uri, number, text.rindex(":") if ":" in text else 0)
            for number, text in enumerate(lines)
            for method in ("hover", "completion")
        ]
        found = editor.findings.get(uri, [])
        said = json.dumps([found, editor.logged, shown])
    severities = [one["severity"] for one in found]
    assert (1 in severities) == (name == "bad.yaml")
    assert MARKED not in said


def _api(served: Served, token: str) -> list[str]:
    """What the control API and the console tell people of it: metrics, numbers, channels, the trace of a message."""
    base = f"http://{served.events('api_started')[-1]['bind'][0]}"
    with httpx2.Client(
        base_url=base,
        headers={"authorization": f"Bearer {KEY}"},
        trust_env=False,
        timeout=PATIENCE,
    ) as http:
        answers = [http.get(path) for path in ("/metrics", "/console/setup", "/console/pulse")]
        for frame in (SENT, REFUSED, FAILS):
            asked = {"path": "/rooms/a", "frame": frame, "token": token}
            answers.append(http.post("/console/trace", json=asked))
        wrong = {"channel": "room", "type": "pay", "message": json.loads(REFUSED)}
        answers.append(http.post("/console/check", json=wrong))
    assert {answer.status_code for answer in answers} == {200}
    return [answer.text for answer in answers]
