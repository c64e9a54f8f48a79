from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Place, Related
from channeld.lsp.buffers import Buffer, Caret, TextSpan
from channeld.lsp.findings import MOST, published, range_of, words


def test_a_finding_says_what_is_wrong_where_and_what_to_do() -> None:
    finding = diagnose("CH310", "headline", Place("f"), label="under the caret", help="write `x`")
    assert words(finding) == "headline: under the caret\nhelp: write `x`"
    assert words(diagnose("CH310", "headline", Place("f"))) == "headline"


def test_ranges_are_in_the_units_of_the_client() -> None:
    span = TextSpan(Caret(0, 1), Caret(0, 2))
    assert range_of(span, Buffer.of("😀x"))["start"] == {"line": 0, "character": 2}
    assert range_of(span, None)["end"] == {"line": 0, "character": 2}


def test_findings_are_written_as_the_protocol_says() -> None:
    related = (Related(place=Place("f", 2, 1, 2, 2), message="first"),)
    finding = diagnose("CH402", "not used", Place("f", 1, 1, 1, 3), related=related)
    [shown] = published([finding], {"f": Buffer.of("😀x\ny")}.get, lambda name: f"file:///{name}")
    assert shown == {
        "range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 3}},
        "severity": 2,
        "code": "CH402",
        "source": "channeld",
        "message": "not used",
        "tags": [1],
        "relatedInformation": [
            {
                "location": {
                    "uri": "file:///f",
                    "range": {
                        "start": {"line": 1, "character": 0},
                        "end": {"line": 1, "character": 1},
                    },
                },
                "message": "first",
            }
        ],
    }


def test_of_too_many_the_most_severe_are_sent() -> None:
    infos = [diagnose("CH701", "no words", Place("f", line)) for line in range(1, MOST + 1)]
    error = diagnose("CH103", "unknown key", Place("f", MOST + 5))
    sent = published([*infos, error], lambda name: None, str)
    assert len(sent) == MOST
    assert isinstance(sent[0], dict)
    assert sent[0]["code"] == "CH103"
