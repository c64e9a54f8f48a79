from collections.abc import Callable

import pytest

from channeld.config.load import Loaded

Load = Callable[..., Loaded]

BASE = """\
channeld: 1
channels:
  room: {path: /room, description: d, auth: none, events: {}}
webhooks:
  - {url: "https://a.example", secret: "${CHANNELD_JWT_SECRET}", events: [connected]}
"""


def found(loaded: Loaded) -> list[tuple[str, str]]:
    return [(d.code, d.place.path) for d in loaded.report]


def test_a_good_webhook_is_not_mentioned(load_config: Load) -> None:
    assert found(load_config(BASE)) == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://app.example.com/told", [("CH429", "/webhooks/0/url")]),
        ("http://127.0.0.1:8080/told", []),
        ("http://localhost/told", []),
        ("https://[::1/told", [("CH429", "/webhooks/0/url")]),
        ("https://:443/told", [("CH429", "/webhooks/0/url")]),
    ],
)
def test_only_this_machine_is_told_without_tls(
    load_config: Load, url: str, told: list[tuple[str, str]]
) -> None:
    assert found(load_config(BASE.replace("https://a.example", url))) == told


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ("[room]", []),
        ("room", []),
        ("[room, roam]", [("CH430", "/webhooks/0/channels/1")]),
        ("roam", [("CH430", "/webhooks/0/channels")]),
    ],
)
def test_its_channels_are_there(
    load_config: Load, channels: str, expected: list[tuple[str, str]]
) -> None:
    text = BASE.replace("events: [connected]", f"events: [connected], channels: {channels}")
    assert found(load_config(text)) == expected


def test_its_secret_is_long(load_config: Load) -> None:
    text = BASE.replace("${CHANNELD_JWT_SECRET}", "${SENSOR_TOKEN}")
    assert found(load_config(text)) == [("CH431", "/webhooks/0/secret")]


def test_one_that_is_not_understood_shifts_no_finding_to_another(load_config: Load) -> None:
    second = (
        BASE.splitlines()[-1]
        .replace("https:", "http:")
        .replace("[connected]", "[connected], channels: [x]")
    )
    text = BASE.replace("${CHANNELD_JWT_SECRET}", "${NOT_SET}") + second + "\n"
    assert sorted(found(load_config(text))) == [
        ("CH113", "/webhooks/0/secret"),
        ("CH429", "/webhooks"),
        ("CH430", "/webhooks/1/channels/0"),
    ]


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        ("whsec_" + "QUFB" * 8, []),
        ("whsec_" + "QUFB" * 7, ["CH431"]),
        ("whsec_ not base64 at all, though it is long enough", ["CH431"]),
    ],
)
def test_its_secret_may_be_base64(load_config: Load, secret: str, told: list[str]) -> None:
    loaded = load_config(BASE, environ={"CHANNELD_JWT_SECRET": secret})
    assert [code for code, _ in found(loaded)] == told
    assert secret not in repr(loaded.report)
