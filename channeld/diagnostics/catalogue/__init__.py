"""The table of all codes, one module per hundred. `CATALOGUE` maps a code to its entry; `diagnose` makes a finding.

CH0xx YAML (`yaml.py`), CH1xx structure (`structure.py`), CH2xx schemas (`schemas.py`), CH3xx paths, routes, templates
(`routes.py`), CH4xx auth and security (`security.py`), CH5xx hooks (`hooks.py`), CH6xx limits, history, presence
(`limits.py`), CH7xx deployment and style (`deployment.py`), CH8xx scenario files (`scenarios.py`);
D1xx to D7xx what `channeld diff` tells (`diff.py`).
"""

from collections.abc import Mapping

from channeld.diagnostics.catalogue import (
    deployment,
    diff,
    hooks,
    limits,
    routes,
    scenarios,
    schemas,
    security,
    structure,
    yaml,
)
from channeld.diagnostics.catalogue.entry import Entry
from channeld.diagnostics.diagnostic import Diagnostic, Place, Related

__all__ = ["CATALOGUE", "Entry", "diagnose"]

CATALOGUE: Mapping[str, Entry] = {
    entry.code: entry
    for module in (
        yaml,
        structure,
        schemas,
        routes,
        security,
        hooks,
        limits,
        deployment,
        scenarios,
        diff,
    )
    for entry in module.ENTRIES
}


def diagnose(
    code: str,
    message: str,
    place: Place,
    *,
    help: str = "",
    label: str = "",
    related: tuple[Related, ...] = (),
) -> Diagnostic:
    """A diagnostic with the severity that the catalogue gives its code.

    `message` is the headline of this case (the title, where nothing more can be said), `label` the words under the
    caret, `help` what to write instead.
    """
    entry = CATALOGUE[code]
    return Diagnostic(
        code=code,
        severity=entry.severity,
        message=message,
        place=place,
        help=help,
        label=label,
        related=related,
    )
