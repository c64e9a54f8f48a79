import io
import json
import logging

import pytest

from channeld import telemetry
from tests.telemetry.test_events import as_it_was, lines

__all__ = ["as_it_was"]


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest's own handlers are at the root, where these loggers do not reach."""
    monkeypatch.setattr(logging.getLogger("tests"), "propagate", False)


def written(stream: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_what_libraries_log_is_a_line_of_ours() -> None:
    stream = lines(format="json")
    library = logging.getLogger("tests.exporter")
    try:
        int("no route")
    except ValueError:
        library.exception("sent to %s\nfailed", "https://me:hunter2@collector")
    library.warning("%d of", "three")
    library.info("nobody needs to know")
    first, second = written(stream)
    assert [first[name] for name in ("event", "level", "logger")] == [
        "library_warned",
        "warning",
        "tests.exporter",
    ]
    assert first["reason"] == "sent to https://[redacted]@collector\nfailed"
    assert "ValueError: invalid literal" in first["exception"]
    assert second["reason"] == "%d of"


def test_a_logger_with_a_handler_of_its_own_is_left_alone() -> None:
    stream, own = lines(format="json"), io.StringIO()
    library = logging.getLogger("tests.app")
    handler = logging.StreamHandler(own)
    library.addHandler(handler)
    library.warning("mine")
    library.removeHandler(handler)
    telemetry.log("config_reloaded")
    assert own.getvalue() == "mine\n"
    assert [line["event"] for line in written(stream)] == ["config_reloaded"]
