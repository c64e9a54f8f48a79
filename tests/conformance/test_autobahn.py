"""Autobahn's short groups, over every path: all but performance (9) and compression (12, 13), which `make conformance` plays."""

import pytest

from tests.conformance.suite import PATHS, play

# What the RFC leaves open: Autobahn only tells what a server does.
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
async def test_every_case_passes_strictly(path: str) -> None:
    results = await play(path, None, ["9.*", "12.*", "13.*"])
    odd = {case for case, *verdicts in results if verdicts != ["OK", "OK"]}
    assert len(results) == 247
    assert odd == INFORMATIONAL


# kosoku's copy of group 12 leaves the file of its payloads to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.slow
async def test_a_sample_of_compression_passes_strictly() -> None:
    results = await play("lane", ["12.1.1", "12.2.2", "13.1.1", "13.3.1", "13.7.1"], [])
    assert [verdicts for _, *verdicts in results] == [["OK", "OK"]] * 5
