import io
import json
import logging
from collections.abc import Callable

import pytest

from channeld import telemetry
from tests.telemetry.test_logger import as_it_was, lines

__all__ = ["as_it_was"]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], logging.Logger]:
    """Makes loggers that are not heard by pytest's own handlers at the root."""

    def logger(name: str) -> logging.Logger:
        made = logging.getLogger(name)
        monkeypatch.setattr(made, "propagate", False)
        monkeypatch.setattr(made, "handlers", [])
        return made

    return logger


def written(stream: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_what_libraries_log_is_a_line_of_ours(library: Callable[[str], logging.Logger]) -> None:
    stream = lines(format="json")
    exporter = library("tests.exporter")
    try:
        int("no route")
    except ValueError:
        exporter.exception("sent to %s\nfailed", "https://me:hunter2@collector")
    exporter.warning("%d of", "three")
    exporter.info("nobody needs to know")
    first, second = written(stream)
    assert [first[name] for name in ("event", "level", "logger")] == [
        "library_warned",
        "warning",
        "tests.exporter",
    ]
    assert first["reason"] == "sent to https://[redacted]@collector\nfailed"
    assert "ValueError: invalid literal" in first["exception"]
    assert second["reason"] == "%d of"


def test_a_logger_with_a_handler_of_its_own_is_left_alone(
    library: Callable[[str], logging.Logger],
) -> None:
    stream, own = lines(format="json"), io.StringIO()
    app = library("tests.app")
    app.addHandler(logging.StreamHandler(own))
    app.warning("mine")
    telemetry.log("config_reloaded")
    assert own.getvalue() == "mine\n"
    assert [line["event"] for line in written(stream)] == ["config_reloaded"]
