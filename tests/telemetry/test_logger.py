import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from channeld import telemetry
from channeld.telemetry import (
    bound,
    bound_lines,
    configure,
    left_out,
    log,
    reconfigure,
    toggle_debug,
)
from channeld.telemetry.line_rates import LineRates
from channeld.telemetry.logger import _State


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    was_configured = structlog.is_configured()
    before, threshold, settings = structlog.get_config(), _State.threshold, _State.settings
    last_resort = logging.lastResort
    yield
    logging.lastResort = last_resort
    structlog.reset_defaults()
    if was_configured:
        structlog.configure(**before)
    _State.threshold, _State.settings, _State.is_debugging = threshold, settings, False
    bound_lines(None)


def lines(**how: object) -> io.StringIO:
    stream = io.StringIO()
    configure(stream=stream, **how)  # type: ignore[arg-type]
    return stream


def test_a_line_is_one_json_object_in_a_fixed_order() -> None:
    stream = lines()
    log("connection_opened", connection="c1", channel="room")
    written = json.loads(stream.getvalue())
    assert list(written) == ["timestamp", "level", "event", "connection", "channel"]
    assert written["timestamp"].endswith("Z")
    assert written["level"] == "info"


def test_the_level_is_the_tables() -> None:
    stream = lines()
    log("hook_slow", hook="a:b", seconds=0.06)
    assert json.loads(stream.getvalue())["level"] == "warning"


def test_what_is_below_the_level_is_not_written() -> None:
    stream = lines(level="error")
    log("hook_slow", hook="a:b")
    log("hook_failed", hook="a:b")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["hook_failed"]


def test_an_unknown_event_is_a_bug() -> None:
    with pytest.raises(LookupError, match="no log event is called 'conection_opened'"):
        log("conection_opened")


def test_a_bound_logger_carries_its_fields() -> None:
    stream = lines()
    bound(connection="c1").info("welcomed", visits=3)
    written = json.loads(stream.getvalue())
    assert (written["event"], written["connection"], written["visits"]) == ("welcomed", "c1", 3)


@pytest.mark.parametrize("how", [{"exc_info": True}, {"exception": ValueError("bad")}])
def test_a_traceback_is_written(how: dict[str, object]) -> None:
    stream = lines()
    try:
        int("bad")
    except ValueError:
        log("hook_failed", hook="a:b", **how)
    assert json.loads(stream.getvalue())["exception"].splitlines()[-1].startswith("ValueError: ")


def test_console_lines_have_time_level_event_and_pairs() -> None:
    stream = lines(format="console")
    log("connection_opened", channel="room", user="Ann Lee")
    assert stream.getvalue()[13:] == 'info    connection_opened channel=room user="Ann Lee"\n'


def test_a_terminal_gets_colours_and_a_file_json() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    configure(stream=stream)
    log("server_stopped")
    assert "\x1b[1mserver_stopped" in stream.getvalue()


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    configure(stream=stream)
    log("server_stopped")
    assert "\x1b" not in stream.getvalue()


def test_a_log_that_cannot_be_written_ends_nothing() -> None:
    stream = lines()
    stream.close()
    log("server_stopped")
    assert stream.closed


def test_lines_go_to_stderr_unless_told(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.reset_defaults()
    log("server_stopped", connections=0)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "server_stopped"


def test_structlogs_own_test_kit_sees_the_events() -> None:
    with structlog.testing.capture_logs() as captured:
        log("slow_consumer", connection="c1")
    assert captured == [{"event": "slow_consumer", "connection": "c1", "log_level": "warning"}]


def test_a_flood_from_one_address_is_told_once_and_leaves_the_others_their_lines() -> None:
    stream = lines()
    bound_lines(LineRates(lambda: 0.0))
    for number in range(6000):
        log("handshake_refused", status=404, address="192.0.2.1", reason=str(number))
    log("handshake_refused", status=404, address="192.0.2.2")
    log("connection_closed", code=1000, address="192.0.2.1")
    written = [json.loads(line) for line in stream.getvalue().splitlines()]
    *_, summary, other, closed = written
    assert len(written) == 5000 + 3
    assert summary["event"] == "log_lines_left_out"
    assert (summary["line"], summary["address"]) == ("handshake_refused", "192.0.2.1")
    assert (other["address"], closed["event"]) == ("192.0.2.2", "connection_closed")
    assert left_out() == 1000
    bound_lines(None)
    assert left_out() == 0


def test_every_public_name_is_there() -> None:
    assert all(hasattr(telemetry, name) for name in telemetry.__all__)


def test_lines_of_one_of_several_processes_have_its_number() -> None:
    stream = lines(worker=0)
    log("connection_opened", connection="c1")
    assert json.loads(stream.getvalue())["worker"] == 0


def test_debug_lines_are_turned_on_and_off_and_the_log_says_so() -> None:
    stream = lines(level="warning", worker=3)
    log("message_refused", code="FORBIDDEN")
    toggle_debug()
    log("message_refused", code="UNKNOWN_TYPE")
    toggle_debug()
    log("message_refused", code="FORBIDDEN")
    log("slow_consumer")
    written = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(one["event"], one.get("threshold")) for one in written] == [
        ("log_level_changed", "debug"),
        ("message_refused", None),
        ("log_level_changed", "warning"),
        ("slow_consumer", None),
    ]
    assert {one["worker"] for one in written} == {3}


def test_a_changed_format_and_level_keep_the_place() -> None:
    stream = lines(format="json", level="warning")
    reconfigure("console", "debug")
    log("message_refused", code="FORBIDDEN")
    assert not stream.getvalue().startswith("{")
    assert "message_refused" in stream.getvalue()
    reconfigure("json", "error")
    log("slow_consumer")
    assert "slow_consumer" not in stream.getvalue()
