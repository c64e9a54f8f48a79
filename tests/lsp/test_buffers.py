from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channeld.lsp.buffers import Buffer, Caret, Encoding, name_of, overlaid, uri_of


@pytest.mark.parametrize(("encoding", "units"), [("utf-8", 7), ("utf-16", 4), ("utf-32", 3)])
def test_columns_are_counted_in_the_units_that_were_agreed_on(
    encoding: Encoding, units: int
) -> None:
    buffer = Buffer.of("é😀x: 1", encoding)
    assert buffer.position(Caret(0, 3)) == (0, units)
    assert buffer.caret(0, units) == Caret(0, 3)


def test_a_position_within_a_character_is_before_it() -> None:
    assert Buffer.of("😀x").caret(0, 1) == Caret(0, 0)


def test_positions_beyond_the_text_are_its_ends() -> None:
    buffer = Buffer.of("ab\nc")
    assert buffer.caret(0, 99) == Caret(0, 2)
    assert buffer.caret(9, 9) == Caret(1, 1)


def test_all_line_breaks_of_the_protocol_count_and_no_others() -> None:
    assert Buffer.of("a\r\nb\rc\nd\u2028e").lines == ["a", "b", "c", "d\u2028e"]


def test_a_byte_order_mark_is_a_column_for_the_client_alone() -> None:
    buffer = Buffer.of("\ufeffab\ncd")
    assert buffer.text == "ab\ncd"
    assert buffer.caret(0, 1) == Caret(0, 0)
    assert buffer.caret(1, 1) == Caret(1, 1)
    assert buffer.position(Caret(0, 1)) == (0, 2)


def test_a_change_says_how_many_lines_more_there_are() -> None:
    buffer = Buffer.of("a\nb\nc")
    assert buffer.change(Caret(0, 1), Caret(1, 0), "1\r\n2\r\n") == 1
    assert buffer.lines == ["a1", "2", "b", "c"]
    assert buffer.change(Caret(0, 0), Caret(3, 1), "") == -3
    assert buffer.lines == [""]


texts = st.text(st.sampled_from("ab😀é\n\u2028"), max_size=20)


@given(texts, texts, st.data())
def test_a_change_is_that_of_the_joined_text(text: str, new: str, data: st.DataObject) -> None:
    ends = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=2)))
    buffer = Buffer.of(text)
    carets = [Caret(text.count("\n", 0, end), end - text.rfind("\n", 0, end) - 1) for end in ends]
    assert [buffer.caret(*buffer.position(caret)) for caret in carets] == carets
    buffer.change(carets[0], carets[1], new)
    assert buffer.text == text[: ends[0]] + new + text[ends[1] :]


def test_names_are_relative_to_the_working_folder_inside_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert name_of((tmp_path / "a b/ü.yaml").as_uri()) == "a b/ü.yaml"
    assert name_of("file:///elsewhere/x.yaml") == "/elsewhere/x.yaml"
    assert name_of("untitled:Untitled-1") == "untitled:Untitled-1"
    assert uri_of("a b/ü.yaml") == (tmp_path / "a b/ü.yaml").as_uri()
    assert uri_of("untitled:Untitled-1") == "untitled:Untitled-1"


def test_open_texts_are_read_in_place_of_files(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("disk")
    (tmp_path / "two").write_text("disk")
    files = overlaid({str(tmp_path / "one"): "open"}, {"*": ["x"]})
    assert files.read(str(tmp_path / "one")) == b"open"
    assert files.read(str(tmp_path / "two")) == b"disk"
    assert files.list_files("*") == ["x"]
    assert files.list_files("**") == []
    with pytest.raises(OSError, match="over 16 MiB"):
        overlaid({"big": "x" * (16 * 1024 * 1024 + 1)}).read("big")
