import pytest

from channeld.diagnostics.diagnostic import Place
from channeld.plan.load import check
from channeld.scenarios.coverage import Exercised, Point, cover, percent, points
from tests.scenarios.kit import CASES, run

PLACE = Place("channels.yaml", 3, 1, 3, 2)
A, B = Point("a", "message", "say"), Point("a", "event", "note")
SERVER = Point("server", "error", "INVALID_JSON")


def reached(*met: Point, config: str = "channels.yaml") -> Exercised:
    return Exercised(config, {A: PLACE, B: PLACE, SERVER: PLACE}, set(met))


def test_files_of_one_configuration_add_up() -> None:
    [one] = cover([reached(A), reached(B, Point("x", "y", "z"))])
    assert (one.reached, one.total, one.percent) == (2, 3, 66.6)
    assert one.channels == {"a": (2, 2), "server": (0, 1)}
    assert [(each.point, each.place.line) for each in one.missed] == [(SERVER, 3)]


def test_configurations_are_counted_apart() -> None:
    both = cover([reached(config="b.yaml"), reached(A, config="a.yaml")])
    assert [(one.config, one.reached) for one in both] == [("a.yaml", 1), ("b.yaml", 0)]


def test_what_the_server_refuses_may_be_met_on_any_channel() -> None:
    [one] = cover([reached(Point("a", "error", "INVALID_JSON"))])
    assert one.channels["server"] == (1, 1)


@pytest.mark.parametrize(("count", "total", "share"), [(0, 0, 100.0), (999, 1000, 99.9), (9999, 10_000, 99.9), (3, 3, 100.0)])  # fmt: skip
def test_a_hundred_percent_is_all(count: int, total: int, share: float) -> None:
    assert percent(count, total) == share


def declared() -> dict[str, list[str]]:
    checked = check(str(CASES / "channels.yaml"))
    assert checked.config is not None
    found: dict[str, list[str]] = {}
    for point in points(checked.config, checked.sources.place):
        found.setdefault(point.channel, []).append(f"{point.kind} {point.name}")
    return found


def test_the_points_are_what_is_declared() -> None:
    found = declared()
    assert found["bell"] == ["channel connected", "event ring"]
    assert found["lobby"] == [
        "channel connected",
        "message ask",
        "hook stage_hooks:answer",
        "refusal subscribe (FORBIDDEN)",
        "error LIMIT_EXCEEDED",
    ]
    assert found["bots"] == [
        "channel connected",
        "error UNAUTHORIZED",
        "close 4401",
        "hook stage_hooks:bot",
        "close 4403",
        "message beep",
        "route beep",
    ]
    assert "refusal ring (RATE_LIMITED)" in found["room"]
    assert "refusal ring (FORBIDDEN)" in found["room"]
    assert "error TOKEN_EXPIRED" in found["room"]
    assert found["server"][0] == "status 404"
    assert found["server"][-1] == "hook stage_hooks:lifespan"


def test_every_point_can_be_reached() -> None:
    [one] = cover([found]) if (found := run(EVERYTHING).reached) else []
    assert [
        f"{each.point.channel}: {each.point.kind} {each.point.name}" for each in one.missed
    ] == []
    assert one.percent == 100.0


EVERYTHING = """\
ignore: [{type: say}, {type: note}, {type: poke}, {type: ring}, {type: beep}, {type: error}, {type: reply}]
scenarios:
  - name: rooms
    clients:
      ann: {path: /rooms/a, user: ann, claims: {name: Ann, role: admin}}
      bob: {path: /rooms/a, user: bob, claims: {name: Bob}, expires: 1m}
      eve: {path: /bell}
      mal: {path: /rooms/a, token: nonsense, refused: 4401}
      lost: {path: /nowhere, refused: 404}
      page: {path: /bell, origin: "https://evil.example", refused: 403}
    steps:
      - ann: {send: {type: say, text: note}}
      - ann: {send: {type: say}}
      - ann: {send: {type: poke, to: bob}}
      - ann: {send: {type: poke}}
      - bob: {send: {type: ring, text: ding}}
      - advance: 1s
      - bob: {send: {type: ring}}
      - ann: {send: {type: what}}
      - ann: {send_raw: "{"}
      - advance: 1m
      - bob: {expect_close: 4401}
      - bob: connect
      - bob: {send: {type: ring, text: ding}}
      - bob: {send: {type: ring, text: ding}}
      - ann: close
  - name: too large
    clients: {ann: {path: /lobby}}
    steps:
      - ann: {send: {type: ask, text: "%s"}}
      - ann: {expect_close: 1009}
  - name: the lobby
    clients: {ann: {path: /lobby}}
    steps:
      - ann: {send: {type: ask, id: 1}}
      - ann: {send: {type: subscribe, room: other}}
      - ann: {send: {type: subscribe, room: topic-1}}
      - ann: {send: {type: subscribe, room: topic-2}}
      - ann: {send: {type: subscribe, room: topic-3}}
  - name: bots
    hooks: {"stage_hooks:bot": {returns: {user: r2, claims: {kind: bot}}}}
    clients: {bot: {path: /bots}}
    steps: [{bot: {send: {type: beep}}}]
  - name: people
    hooks: {"stage_hooks:bot": {returns: {user: ann, claims: {kind: human}}}}
    clients: {ann: {path: /bots, refused: 4403}}
    steps: []
  - name: nobody
    clients: {ann: {path: /bots, refused: 4401}}
    steps: []
  - name: the bell
    clients: {eve: {path: /bell}}
    steps: [{publish: {channel: bell, event: {type: ring, text: ding, loud: true}}}]
  - name: a loud ring
    clients:
      ann: {path: /rooms/a, user: ann, claims: {name: Ann, role: admin}}
      eve: {path: /bell}
    steps: [{ann: {send: {type: ring, text: ding, loud: true}}}]
""" % ("x" * 70_000)
