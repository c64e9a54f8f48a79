"""Plans of configurations that tests write down."""

from pathlib import Path

from channeld.plan.load import check
from channeld.plan.plan import Plan


def plan_of(folder: Path, text: str) -> Plan:
    """The plan of a configuration, whose hooks need not exist."""
    file = folder / "channels.yaml"
    file.write_text(text)
    checked = check(str(file), import_hooks=False)
    assert checked.plan is not None, [one.message for one in checked.report]
    return checked.plan
