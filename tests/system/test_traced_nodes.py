"""A message from one node to another as one trace, at a collector."""

from collections import Counter
from pathlib import Path

from tests.server.test_otel import receiver
from tests.system.kit import eventually
from tests.system.nodes import enter, fleet_of


def test_the_delivery_on_another_node_is_in_the_trace_of_the_message(tmp_path: Path) -> None:
    with receiver() as (endpoint, spans), fleet_of("valkey", tmp_path) as fleet:
        traced = [fleet.start(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) for _ in range(2)]
        plain = fleet.start()
        for node in fleet.nodes:
            node.wait_ready()
        with (
            enter(traced[0], "ann") as ann,
            enter(traced[1], "bob") as bob,
            enter(plain, "eve") as eve,
        ):
            ann.ask("say", n=1)
            for other in (bob, eve):
                assert other.receive("say")["n"] == 1
            # Each node sends its own, once a second, and not all that belongs together at once.
            wanted = Counter({"message say": 1, "publish": 1, "deliver": 2})
            eventually(lambda: wanted <= Counter(span.name for span in spans))
    [message] = [span for span in spans if span.name == "message say"]
    [publish] = [
        span for span in spans if span.name == "publish" and span.parent_span_id == message.span_id
    ]
    delivered = [span for span in spans if span.parent_span_id == publish.span_id]
    assert [span.name for span in delivered] == ["deliver", "deliver"]
    assert {span.trace_id for span in (publish, *delivered)} == {message.trace_id}
