import json

import jsonschema
import pytest

from channeld.cli.main import run


def test_the_languages_schema_is_a_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.validators.validator_for(schema).check_schema(schema)
    assert {"channeld", "channels", "auth", "server"} <= schema["properties"].keys()
