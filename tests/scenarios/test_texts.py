from channeld.scenarios.outcome import FileResult
from channeld.scenarios.texts import FileTexts


def test_the_texts_of_results() -> None:
    texts = FileTexts((FileResult(file="a", text="x"), FileResult(file="b")))
    assert texts.files == ["a", "b"]
    assert (texts.text("a"), texts.text("c")) == ("x", None)
