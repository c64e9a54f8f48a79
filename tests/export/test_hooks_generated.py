"""What generators make of the OpenAPI document of hooks: a FastAPI stub, and types for TypeScript."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.npm_parts import ROOT, npm_folder, tsc
from tests.python_parts import python_folder
from tests.system.kit import command, environment

pytestmark = [pytest.mark.wide, pytest.mark.timeout(600)]

CONFIG = ROOT / "examples" / "backends" / "channels.yaml"
SECRET = "a secret of more than thirty-two bytes"
ASKED = {
    "hook": "message", "channel": "room", "connection": "c", "user": {"id": "ann", "claims": {}},
    "params": {"room_id": "den"}, "rooms": ["den"], "room": "den", "message": {"type": "say", "text": "hi"},
}  # fmt: skip
USE = """\
import json, sys
from stub.main import app
from stub.models import SayPostRequest

paths = {path for path in app.openapi()["paths"]}
assert paths == {"/who", "/say"}, paths
asked = json.loads(sys.argv[1])
assert SayPostRequest.model_validate(asked).message.text == "hi"
asked["message"]["text"] = 5
try:
    SayPostRequest.model_validate(asked)
except ValueError:
    print("refused")
"""
SAY = """\
import type { operations } from "./hooks";

type Asked = operations["app_say"]["requestBody"]["content"]["application/json"];
type Answer = operations["app_say"]["responses"][200]["content"]["application/json"];

export function say(asked: Asked): Answer {
  const text: string = asked.message.text;
  return text ? { message: { text: text.trim() } } : { reject: { message: "say something", left: 3 } };
}
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    file = tmp_path / "hooks.json"
    variables = environment(CHANNELD_HOOK_SECRET=SECRET)
    export = command("export", "hooks", "--output", str(file), str(CONFIG))
    subprocess.run(export, env=variables, capture_output=True, check=True)
    return file


def test_a_fastapi_stub_knows_what_is_asked(document: Path) -> None:
    folder = document.parent
    packages = [python_folder("generators"), python_folder("backends"), folder]
    variables = {**environment(), "PYTHONPATH": ":".join(map(str, packages))}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", *arguments],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    run("-m", "fastapi_code_generator", "--input", "hooks.json", "--output", "stub")
    assert run("-c", USE, json.dumps(ASKED)) == "refused"


def test_types_for_typescript_know_what_is_asked_and_answered(document: Path) -> None:
    folder = document.parent
    cli = npm_folder("npm-openapi") / "openapi-typescript" / "bin" / "cli.js"
    subprocess.run(
        ["node", str(cli), "hooks.json", "--output", "hooks.ts"],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    folder.joinpath("say.ts").write_text(SAY)
    assert tsc("--noEmit", "say.ts", folder=folder) == ""
    for right, wrong in (("message.text;", "message.txt;"), ("reject: {", "refuse: {")):
        folder.joinpath("wrong.ts").write_text(SAY.replace(right, wrong))
        assert "error TS" in tsc("--noEmit", "wrong.ts", folder=folder)
