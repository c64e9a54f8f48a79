"""Colours only where they are asked for, and frames only of files that can be shown."""

from channeld.diagnostics.diagnostic import Place
from channeld.diagnostics.render.painter import BOLD, FramePainter, Painter, where

PLACE = Place("a\n.yaml", 2, 4, 2, 5)


class Shown:
    """One file's text; asked for others it has none."""

    files: list[str] = [PLACE.file]  # noqa: RUF012

    def text(self, file: str) -> str | None:
        return "a: 1\nb: 2\n" if file == PLACE.file else None


def test_colour_is_put_around_a_text_only_where_there_is_some() -> None:
    assert Painter(True).paint(BOLD, "x") == "\x1b[1mx\x1b[0m"
    assert Painter(True).paint(BOLD, "") == ""
    assert Painter().paint(BOLD, "x") == "x"


def test_a_frame_is_drawn_with_its_mark() -> None:
    painter = FramePainter(False, texts=Shown())
    found = painter.frame(PLACE, 0)
    assert found is not None
    assert list(painter.shown(found, 2, BOLD, "^", "here")) == [
        "   |",
        " 2 | b: 2",
        "   |    ^ here",
    ]


def test_no_frame_of_a_file_that_cannot_be_shown() -> None:
    assert FramePainter(False, texts=Shown()).frame(Place("b", 1, 1, 1, 2), 0) is None


def test_a_place_stays_on_its_line() -> None:
    assert "\n" not in where(PLACE)
    assert where(PLACE).endswith(":2:4")
