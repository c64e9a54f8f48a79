"""`docs/sbom.cdx.json`: what the wheel is and what it needs, as CycloneDX; the build puts it into the wheel (PEP 770)."""

import json
import re
import tomllib

from pages.markdown import HERE

from channeld import __version__

__all__ = ["sbom"]

_NAME = re.compile(r"^[A-Za-z0-9._-]+")


def sbom() -> str:
    """The document. It has no moment and no random number: the same sources give the same bytes."""
    project = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    own = f"pkg:pypi/channeld@{__version__}"
    needed = sorted(project["dependencies"], key=str.lower)
    components = [_component(requirement) for requirement in needed]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": project["name"],
                "version": __version__,
                "purl": own,
                "licenses": [{"license": {"id": project["license"]}}],
            }
        },
        "components": components,
        "dependencies": [
            {"ref": own, "dependsOn": [one["bom-ref"] for one in components]},
            *({"ref": one["bom-ref"]} for one in components),
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _component(requirement: str) -> dict[str, object]:
    found = _NAME.match(requirement)
    if found is None:
        raise ValueError(f"{requirement!r} is not a requirement")
    name = re.sub(r"[-_.]+", "-", found[0]).lower()
    return {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}",
        "name": name,
        "purl": f"pkg:pypi/{name}",
        "scope": "required",
        "properties": [{"name": "channeld:requirement", "value": requirement}],
    }
