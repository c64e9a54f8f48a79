import pytest

from channeld.protocol.codes import (
    REFUSALS,
    CloseCode,
    ErrorCode,
    Refusal,
    may_close_with,
    may_come_back,
)


def test_an_error_code_is_its_own_text() -> None:
    assert all(code == code.name == str(code) for code in ErrorCode)
    assert len(ErrorCode) == 12


def test_close_codes_may_be_sent_or_are_only_seen() -> None:
    # RFC 6455 section 7.4: 1005 and 1006 are never sent; 3000-4999 are for libraries and applications.
    assert all(1000 <= code < 1015 or 4400 <= code < 4600 for code in CloseCode)


@pytest.mark.parametrize(
    "code",
    [
        CloseCode.ABNORMAL,
        CloseCode.INTERNAL_ERROR,
        CloseCode.SERVICE_RESTART,
        CloseCode.TRY_AGAIN_LATER,
        CloseCode.TOO_SLOW,
        4500,
        4599,
        4900,
        4949,
    ],
)
def test_the_servers_side_says_come_back(code: int) -> None:
    assert may_come_back(code)


@pytest.mark.parametrize(
    "code",
    [
        CloseCode.NORMAL,
        CloseCode.GOING_AWAY,
        CloseCode.PROTOCOL_ERROR,
        CloseCode.UNSUPPORTED_DATA,
        CloseCode.INVALID_DATA,
        CloseCode.POLICY_VIOLATION,
        CloseCode.MESSAGE_TOO_BIG,
        CloseCode.UNAUTHORIZED,
        CloseCode.FORBIDDEN,
        CloseCode.REPLACED,
        CloseCode.KICKED,
        CloseCode.TOO_MANY_ERRORS,
        4499,
        4600,
        4899,
        4950,
        4999,
    ],
)
def test_the_clients_side_says_do_not(code: int) -> None:
    assert not may_come_back(code)


def test_refusals_are_found_by_status() -> None:
    assert set(REFUSALS) == {400, 403, 404, 405, 426, 429, 431, 503}
    assert REFUSALS[404] == Refusal(404, "No such channel")
    assert all(status == refusal.status and refusal.title for status, refusal in REFUSALS.items())


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 3000, 4401, 4999])
def test_a_hook_may_close_with(code: int) -> None:
    assert may_close_with(code)


@pytest.mark.parametrize(
    "code", [999, 1002, 1005, 1006, 1015, 2999, 5000, 70_000, 1000.0, "1000", None, True]
)
def test_a_hook_may_not_close_with(code: object) -> None:
    assert not may_close_with(code)
