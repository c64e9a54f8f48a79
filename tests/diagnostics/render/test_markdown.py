from markdown_it import MarkdownIt

from channeld.diagnostics.render.markdown import cell, code, table


def test_a_code_span_holds_any_text() -> None:
    for text in ("a", "`", "``a", "a`b``c", "a|b"):
        rendered = MarkdownIt("commonmark").render(code(text))
        shown = rendered.split("<code>")[1].split("</code>")[0]
        assert shown.replace("\\|", "|") == text
    assert code("") == ""
    assert code("two\nlines") == "`two lines`"


def test_a_table_keeps_its_cells_apart() -> None:
    page = table(("a", "b"), [(code("x|y"), cell("<b> | c\nd"))])
    rendered = MarkdownIt("commonmark").enable("table").render(page)
    assert rendered.count("<td>") == 2
    assert "&lt;b&gt; | c d" in rendered


def test_a_table_without_rows_is_nothing() -> None:
    assert table(("a",), []) == ""
