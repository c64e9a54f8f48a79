"""Modelina makes types of the AsyncAPI document, in four languages; TypeScript's compiler takes those for it."""

import json
import subprocess
from pathlib import Path

import pytest

from channeld.export.asyncapi import asyncapi
from channeld.export.contract import Contract
from tests.npm_parts import npm_folder, tsc

pytestmark = [pytest.mark.wide, pytest.mark.timeout(300)]

PROGRAM = """
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";
const modelina = createRequire(process.argv[2])("@asyncapi/modelina");
const document = JSON.parse(readFileSync("asyncapi.json", "utf8"));
const made = {};
for (const [language, options] of [["TypeScript", { modelType: "interface" }], ["Python", {}], ["Go", {}], ["Java", {}]]) {
  const models = await new modelina[`${language}Generator`](options).generate(document);
  made[language] = models.map((model) => model.modelName);
  if (language === "TypeScript") writeFileSync("models.ts", models.map((model) => model.result).join("\\n") + "\\nexport {};\\n");
}
console.log(JSON.stringify(made));
"""


def test_modelina_makes_types_in_four_languages(shipped: Contract, tmp_path: Path) -> None:
    modules = npm_folder("npm-modelina")
    tmp_path.joinpath("asyncapi.json").write_text(
        json.dumps(asyncapi(shipped, title="t", release="1"))
    )
    tmp_path.joinpath("make.mjs").write_text(PROGRAM)
    run = ["node", "make.mjs", str(modules / "any.js")]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    for language, names in made.items():
        assert {"AckFrame", "ReplyFrame", "RoomErrorFrame"} <= set(names), language
    assert "interface RoomErrorFrame" in tmp_path.joinpath("models.ts").read_text()
    assert tsc("--noEmit", "--lib", "es2022", "models.ts", folder=tmp_path) == ""
