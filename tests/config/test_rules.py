import re
from collections.abc import Callable

import pytest

from channeld.config.load import Loaded
from channeld.config.rules import RULES
from channeld.config.structure import VERSION
from channeld.diagnostics.catalogue import CATALOGUE, CatalogueEntry
from channeld.diagnostics.diagnostic import Severity

Load = Callable[..., Loaded]

# CH112 to CH117 are found while the files are read; CH308 and CH313 need no plan.
ENTRIES = [
    entry
    for entry in CATALOGUE.values()
    if entry.code.startswith(("CH10", "CH110", "CH118", "CH119", "CH12", "CH4", "CH6", "CH7"))
    or entry.code in {"CH308", "CH313"}
]
# What the checker finds comes without a rule; all other codes without one are found when the plan is compiled.
CHECKED = ("CH1", "CH3", "CH601", "CH605")
SHOWN = [
    e
    for e in ENTRIES
    if not e.wrong.startswith("#") and (e.code in RULES or e.code.startswith(CHECKED))
]
NEWER = "channeld: 2"


@pytest.mark.parametrize("entry", SHOWN, ids=lambda entry: entry.code)
def test_the_wrong_example_gives_the_code_and_the_right_one_does_not(
    load_config: Load, entry: CatalogueEntry
) -> None:
    assert entry.code in {d.code for d in load_config(entry.wrong).report}
    assert entry.code not in {d.code for d in load_config(entry.right).report}


@pytest.mark.parametrize("entry", SHOWN, ids=lambda entry: entry.code)
def test_the_wrong_example_has_no_other_error(load_config: Load, entry: CatalogueEntry) -> None:
    others = {d.code for d in load_config(entry.wrong).report.errors} - {entry.code}
    assert others == set()


@pytest.mark.parametrize("entry", SHOWN, ids=lambda entry: entry.code)
def test_the_right_example_is_without_errors(load_config: Load, entry: CatalogueEntry) -> None:
    assert [d.code for d in load_config(entry.right).report.errors] == []


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_entries_are_written_the_same_way(entry: CatalogueEntry) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", entry.name)
    assert not entry.title.endswith(".")
    assert 1 <= len(re.findall(r"[.?!](?:\s|$)", entry.explanation)) <= 6
    assert entry.explanation.endswith(".")
    assert entry.wrong
    assert entry.right


def test_codes_and_names_are_used_once() -> None:
    assert len({entry.code for entry in ENTRIES}) == len(ENTRIES)
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize("code", RULES)
def test_each_rule_names_its_code_and_has_an_entry(code: str) -> None:
    assert (RULES[code].__doc__ or "").startswith(f"{code}: ")
    assert code in {entry.code for entry in ENTRIES}


def test_workers_that_share_nothing_are_one_finding(load_config: Load) -> None:
    text = f"channeld: {VERSION}\nserver: {{workers: 2}}\nchannels: {{}}\n"
    text = text.replace("channels: {}", "channels: {a: {path: /a, auth: none, events: {}}}")
    assert [d.code for d in load_config(text).report.errors] == ["CH704"]


def test_severities_differ_as_wished() -> None:
    by_code = {entry.code: entry.severity for entry in ENTRIES}
    assert by_code["CH409"] is Severity.WARNING
    assert by_code["CH412"] is Severity.INFO
    assert by_code["CH404"] is Severity.ERROR
