from channeld.telemetry.tracing import Span, Tracing, attached, current, traceparent

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def made(taken: list[Span], **how: object) -> Tracing:
    numbers = iter(range(1, 1000))
    moments = iter(range(100, 10_000, 100))
    return Tracing(
        taken.append,
        now=lambda: next(moments),
        random_bits=lambda _bits: next(numbers),
        **how,  # type: ignore[arg-type]
    )


def test_a_root_and_its_child() -> None:
    taken: list[Span] = []
    tracing = made(taken)
    root = tracing.receive("message say", None, {"a": "b"})
    assert root is not None
    with attached(root):
        child = tracing.child("publish", {})
        assert traceparent() == f"00-{1:032x}-{2:016x}-01"
    assert current.get() is None
    tracing.end(child, "Broken")
    tracing.end(root)
    assert [(one.name, one.trace, one.parent, one.error) for one in taken] == [
        ("publish", 1, 2, "Broken"),
        ("message say", 1, None, ""),
    ]
    assert root.started < taken[0].started < taken[0].ended < root.ended


def test_a_caller_is_the_parent_and_decides() -> None:
    tracing = made([], ratio=0.0)
    span = tracing.receive("message say", CALLER, {})
    assert span is not None
    assert (span.trace, span.parent) == (0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331)
    assert made([]).receive("message say", CALLER[:-1] + "0", {}) is None


def test_a_caller_does_not_decide_where_the_sampler_does_not_follow() -> None:
    assert made([], ratio=0.0, follows=False).receive("x", CALLER, {}) is None
    assert made([], follows=False).receive("x", CALLER[:-1] + "0", {}) is not None


def test_nonsense_is_no_caller() -> None:
    zero = "00-" + "0" * 32 + "-" + "b" * 16 + "-01"
    callers: list[object] = ["", "x" * 500, 7, None, {}, zero, CALLER.upper()]
    for caller in callers:
        span = made([]).receive("x", caller, {})
        assert span is not None
        assert span.parent is None


def test_the_share_is_by_the_trace() -> None:
    taken: list[Span] = []
    tracing = Tracing(
        taken.append, now=lambda: 0, random_bits=lambda bits: (1 << bits) - 1, ratio=0.5
    )
    assert tracing.receive("x", None, {}) is None
    tracing = Tracing(taken.append, now=lambda: 0, random_bits=lambda _bits: 5, ratio=0.5)
    assert tracing.receive("x", None, {}) is not None


def test_outside_of_a_span_there_are_no_parts() -> None:
    tracing = made([])
    assert tracing.child("publish", {}) is None
    assert traceparent() is None
    tracing.end(None)
    with attached(None):
        assert current.get() is None
