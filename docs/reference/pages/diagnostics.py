"""`diagnostics.md`: every code, from the catalogue."""

from pages.markdown import MADE, fenced, table

from channeld.diagnostics.catalogue import CATALOGUE, CatalogueEntry

GROUPS = {
    "CH0": "YAML",
    "CH1": "Structure",
    "CH2": "Schemas",
    "CH3": "Paths, routes and templates",
    "CH4": "Authentication and security",
    "CH5": "Hooks",
    "CH6": "Limits, history and presence",
    "CH7": "Deployment and style",
    "CH8": "Scenario files",
    "D1": "Changes: channels and paths",
    "D2": "Changes: messages and events",
    "D3": "Changes: schemas",
    "D4": "Changes: who may connect, and to which rooms",
    "D5": "Changes: limits, history, presence",
    "D6": "Changes: where frames go, and what is in them",
    "D7": "Changes: the rest",
}

DIAGNOSTICS_HEAD = f"""{MADE}
# Diagnostics

This page lists everything that `channeld validate` and the other commands can find, each with a wrong and a right example. A code
is never reused. Errors stop the server; warnings fail with `--strict`; infos never fail. `channeld explain CODE` shows one
of these entries in the terminal, and `# channeld: ignore[CODE] reason` at the end of a line, or on a line before it,
silences a warning or an info there. Codes that begin with D belong to `channeld diff`, which calls them breaking, dangerous
or safe.

"""

CHANGES = {"error": "breaking", "warning": "dangerous", "info": "safe"}


def severity_of(entry: CatalogueEntry) -> str:
    """How bad it is, in the words of the command that says it."""
    severity = str(entry.severity)
    return CHANGES[severity] if entry.code.startswith("D") else severity


def group_of(code: str) -> str:
    """The heading that a code belongs under."""
    return GROUPS.get(code[:-2], code[:-2])


def diagnostics_page() -> str:
    """`diagnostics.md`."""
    entries = sorted(CATALOGUE.values(), key=lambda entry: entry.code)
    rows = [
        [f"[{entry.code}](#{entry.code.lower()})", severity_of(entry), entry.title]
        for entry in entries
    ]
    lines = [DIAGNOSTICS_HEAD + table(["code", "severity", "what"], rows)]
    heading = ""
    for entry in entries:
        if group_of(entry.code) != heading:
            heading = group_of(entry.code)
            lines.append(f"\n## {heading}")
        lines.append(
            f"\n### {entry.code}\n\n**{entry.title}** ({severity_of(entry)}, `{entry.name}`)\n"
        )
        lines.append(entry.explanation.strip())
        for word, example in (("Wrong", entry.wrong), ("Right", entry.right)):
            if example:
                # Not tagged `yaml`: the catalogue's own tests try each of these.
                lines.append(f"\n{word}:\n\n{fenced(example)}")
    return "\n".join(lines) + "\n"
