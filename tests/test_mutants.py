import ast
from pathlib import Path

from tests.mirror import PACKAGE, mirrored, own_test
from tests.mutants import known, mutants

MODULE = PACKAGE / "groups.py"


def test_each_mutant_is_another_module_that_parses() -> None:
    found = list(mutants(MODULE))
    whole = ast.unparse(ast.parse(MODULE.read_text()))
    assert len({mutant.text for mutant in found}) == len(found) > 5
    assert whole not in {mutant.text for mutant in found}
    assert all(ast.parse(mutant.text) for mutant in found)


def test_a_mutant_says_what_it_was_and_is() -> None:
    names = [mutant.name for mutant in mutants(MODULE)]
    assert "channeld/groups.py: len(error.exceptions) == 1 -> len(error.exceptions) != 1" in names


def test_survivors_in_the_list_have_a_reason_and_are_mutants_still() -> None:
    reasons = known()
    assert all(reasons.values())
    modules = {PACKAGE.parent / name.partition(": ")[0] for name in reasons}
    assert set(reasons) <= {mutant.name for module in modules for mutant in mutants(module)}


def test_modules_are_measured_by_their_own_tests() -> None:
    assert own_test(PACKAGE / "hub" / "rooms.py").parts[-3:] == ("tests", "hub", "test_rooms.py")
    assert Path(PACKAGE / "__main__.py") not in mirrored(())
    assert len(list(mirrored(()))) > 100
