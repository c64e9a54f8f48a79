import json
from importlib.resources import files

import pytest

from channeld.config.model import Route
from channeld.plan.targets.kinds import KINDS, kind_of


def test_the_language_and_the_table_know_the_same_kinds() -> None:
    text = files("channeld.config").joinpath("channels.schema.json").read_text("utf-8")
    assert f'"enum": {json.dumps([*KINDS])}'.replace(" ", "") in text.replace(" ", "").replace(
        "\n", ""
    )


@pytest.mark.parametrize("name", KINDS)
def test_a_route_has_its_kind(name: str) -> None:
    kind = kind_of(Route(to=name))  # type: ignore[arg-type]
    assert kind.name == name
    assert kind.delivers or not kind.to_others
    assert set(kind.covers) <= set(KINDS)
