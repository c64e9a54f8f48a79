import io
import json
import logging

from channeld import telemetry
from tests.telemetry.test_events import as_it_was, lines

__all__ = ["as_it_was"]


def written(stream: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_what_libraries_log_is_a_line_of_ours() -> None:
    stream = lines(format="json")
    library = logging.Logger("exporter")
    try:
        raise ValueError("no route")
    except ValueError:
        library.exception("sent to %s\nfailed", "https://me:hunter2@collector")
    library.warning("%d of", "three")
    library.info("nobody needs to know")
    first, second = written(stream)
    assert [first[name] for name in ("event", "level", "logger")] == [
        "library_warned",
        "warning",
        "exporter",
    ]
    assert first["reason"] == "sent to https://[redacted]@collector\nfailed"
    assert "ValueError: no route" in first["exception"]
    assert second["reason"] == "%d of"


def test_a_logger_with_a_handler_of_its_own_is_left_alone() -> None:
    stream, own = lines(format="json"), io.StringIO()
    library = logging.Logger("app")
    library.addHandler(logging.StreamHandler(own))
    library.warning("mine")
    telemetry.log("config_reloaded")
    assert own.getvalue() == "mine\n"
    assert [line["event"] for line in written(stream)] == ["config_reloaded"]
