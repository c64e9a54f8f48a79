"""What the bench measures apart from its servers: names, and that channeld takes each message that it sends."""

import sys
from pathlib import Path

import orjson
import pytest

from channeld.plan.load import load_plan
from channeld.testing import running

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

import catalogue  # type: ignore[import-not-found]
import works  # type: ignore[import-not-found]


def test_each_name_means_one_thing() -> None:
    names = [work.name for part in works.PARTS for work in part.works]
    assert len(names) == len(set(names))
    peers = {peer.name for peer in catalogue.CATALOGUE}
    assert {name for part in works.PARTS for name in part.peers} | set(works.NEAR) <= peers
    assert {column.work for part in works.PARTS for column in part.columns} <= set(names)


def test_a_part_may_be_reduced_to_some_works() -> None:
    [part] = [part for part in works.PARTS if part.name == "tls"]
    assert [work.name for work in part.only(["tls_open"]).works] == ["tls_open"]
    assert not part.only(["echo_1"]).sessions


@pytest.mark.parametrize("name", works.MESSAGES)
async def test_channeld_takes_each_message_and_gives_it_back(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(works, "BUILD", tmp_path)
    text = works.message_file(name).read_bytes()
    [place] = {one.place for part in works.PARTS for one in part.works if one.message == name}
    environ = {"CHANNELD_BENCH_SECRET": catalogue.SECRET}
    plan = load_plan(str(catalogue.BENCH / "channels.yaml"), environ)
    async with running(plan) as app:
        client = await app.connect(catalogue.CATALOGUE[0].path(place))
        await client.send_raw(text.decode())
        frame = orjson.loads(text)
        assert await client.receive(frame["type"]) == frame
