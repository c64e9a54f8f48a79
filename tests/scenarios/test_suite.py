from pathlib import Path

import pytest

from channeld.scenarios.outcome import Status
from channeld.scenarios.suite import (
    Options,
    Runs,
    find_files,
    read_file,
    read_text,
    run_files,
)

CONFIG = "channeld: 1\nchannels: {a: {path: /a, auth: none, events: {e: {}}}}\n"
GOOD = "scenarios: [{name: one, clients: {ann: {path: /a}}, steps: []}, {name: two, steps: []}]"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_are_found_below_folders_and_taken_as_named() -> None:
    for name in ("b/x.test.yaml", "b/.git/y.test.yaml", "b/c/z.test.yml", "b/w.yaml", "v.yaml"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(GOOD)
    assert find_files(["b"]) == ["b/c/z.test.yml", "b/x.test.yaml"]
    assert find_files(["v.yaml", "b/x.test.yaml", "b"]) == [
        "v.yaml",
        "b/x.test.yaml",
        "b/c/z.test.yml",
    ]
    assert find_files(["."]) == ["b/c/z.test.yml", "b/x.test.yaml"]


def test_the_configuration_is_found_upwards() -> None:
    Path("channels.yaml").write_text(CONFIG)
    Path("a/b").mkdir(parents=True)
    Path("a/b/it.test.yaml").write_text(GOOD)
    result = Runs(Options()).run(read_file("a/b/it.test.yaml"))
    assert [one.status for one in result.outcomes] == [Status.PASS, Status.PASS]
    assert result.reached is not None
    assert result.reached.config == "channels.yaml"


@pytest.mark.parametrize(
    ("config", "text", "code", "words"),
    [
        (None, GOOD, "CH811", "there is no channels.yaml in this folder or above"),
        (None, f"config: no.yaml\n{GOOD}", "CH811", "`no.yaml` can't be read"),
        ("channeld: 1", GOOD, "CH811", "`channels.yaml` is not valid"),
        (CONFIG, f"hooks: {{'a:b': {{}}}}\n{GOOD}", "CH814", "no hook `a:b`"),
        (CONFIG, "", "CH813", "the file has no scenario"),
        (CONFIG, "{", "CH001", ""),
    ],
)
def test_a_file_that_cannot_be_run_says_why(
    config: str | None, text: str, code: str, words: str
) -> None:
    if config is not None:
        Path("channels.yaml").write_text(config)
    result = Runs(Options()).run(read_text(text, "it.test.yaml"))
    assert result.is_broken
    assert result.outcomes == ()
    assert result.diagnostics[0].code == code
    assert words in result.diagnostics[0].message


def test_an_invalid_configuration_shows_its_first_errors() -> None:
    Path("channels.yaml").write_text("channeld: 1\n")
    [finding] = Runs(Options()).run(read_text(GOOD, "it.test.yaml")).diagnostics
    assert finding.related[0].message.startswith("CH104: ")
    assert finding.help == "`channeld validate channels.yaml` shows all of it"


def test_env_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "nonsense")
    Path("channels.yaml").write_text(CONFIG + "server: {drain: '${PLACE}'}\n")
    assert Runs(Options()).run(read_text(GOOD, "it.test.yaml")).is_broken
    assert (
        not Runs(Options()).run(read_text(f"env: {{PLACE: 5s}}\n{GOOD}", "it.test.yaml")).is_broken
    )


def test_only_what_is_selected_runs() -> None:
    Path("channels.yaml").write_text(CONFIG)
    result = Runs(Options(select="TW")).run(read_text(GOOD, "it.test.yaml"))
    assert [one.name for one in result.outcomes] == ["two"]
    assert Runs(Options(select="x")).run(read_text(GOOD, "it.test.yaml")).outcomes == ()


def test_words_that_yaml_1_1_read_otherwise_are_text() -> None:
    parsed = read_text(GOOD.replace("steps: []", "steps: [{ann: {send: {type: yes}}}]", 1), "it")
    assert list(parsed.report) == []


def test_a_file_that_cannot_be_read() -> None:
    result = Runs(Options()).run(read_file("nowhere.test.yaml"))
    assert result.unreadable == "No such file or directory"


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [None, 2])
def test_files_run_in_one_process_or_in_several(jobs: int | None) -> None:
    Path("channels.yaml").write_text(CONFIG)
    names = [f"{n}.test.yaml" for n in range(3)]
    for name in names:
        Path(name).write_text(GOOD)
    Path(names[1]).write_text("scenarios: []")
    results = list(run_files(names, Options(), jobs=jobs))
    assert [one.file for one in results] == names
    assert [len(one.outcomes) for one in results] == [2, 0, 2]
    assert results[1].diagnostics[0].code == "CH813"
    assert results[0].reached is not None
    assert results[0].reached.met
