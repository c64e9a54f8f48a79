from channeld.lsp.blocks import Cut, cut

TEXT = [
    "channeld: 1",
    "x-all: &all {auth: none}",
    "channels:",
    "  # about one",
    "  one:",
    "    path: /one",
    "    messages: {a: {route: {to: room, channel: two}}}",
    "  two:",
    "    <<: *all",
    '  "three": &three',
    "    path: /3",
    "  four: *three",
    "log: {level: info}",
    "",
]


def test_channels_are_blocks_of_their_own_with_the_comments_above() -> None:
    assert [(one.section, one.name, one.start, one.end) for one in cut(TEXT).cuts] == [
        ("channeld", None, 0, 1),
        ("x-all", None, 1, 2),
        ("channels", None, 2, 3),
        ("channels", "one", 3, 7),
        ("channels", "two", 7, 9),
        ("channels", "three", 9, 11),
        ("channels", "four", 11, 12),
        ("log", None, 12, 14),
    ]


def test_blocks_have_no_gaps() -> None:
    cuts = cut(["# head", "", *TEXT]).cuts
    assert cuts[0] == Cut("", None, 0, 2)
    assert [one.end for one in cuts[:-1]] == [one.start for one in cuts[1:]]


def test_what_is_left_out_leaves_its_lines() -> None:
    blocks = cut(TEXT)
    reduced = blocks.reduced([4]).split("\n")
    assert len(reduced) == len(TEXT)
    assert [line for line in reduced if line] == [*TEXT[:3], *TEXT[7:9], TEXT[12]]


def test_channels_that_are_named_and_anchors_are_kept() -> None:
    blocks = cut(TEXT)
    assert "two:" in blocks.reduced([3])
    assert "three" in blocks.reduced([6])
    assert "three" not in blocks.reduced([3])


def test_one_channel_is_kept_so_that_there_is_one() -> None:
    assert "one:" in cut(TEXT).reduced([])


def test_other_ways_of_writing_give_larger_blocks() -> None:
    for lines in (["channels: {a: {path: /a}}"], ["{channels: {}}"], [""], ["channels:"]):
        assert [(one.start, one.end) for one in cut(lines).cuts] == [(0, len(lines))]


def test_blocks_are_found_by_lines_and_by_words() -> None:
    blocks = cut(TEXT)
    assert blocks.at(5) == [3]
    assert blocks.at(5, 8) == [3, 4]
    assert blocks.mentioning(["/one"]) == [3]
    assert blocks.mentioning([""]) == []
