"""Findings as text for people, and as JSON, GitHub annotations, SARIF and JUnit for machines: pure functions to str.

Reading order: `texts.py` (what a rendering is given), `frames.py` (code frames), `painter.py` (for terminals), `text.py`,
then `markdown.py` (pieces of it, for exports and reports), `json.py`, `github.py`, `sarif.py`, `junit.py`.
"""

from channeld.diagnostics.render.github import render_github
from channeld.diagnostics.render.json import render_json
from channeld.diagnostics.render.junit import render_junit
from channeld.diagnostics.render.sarif import render_sarif
from channeld.diagnostics.render.text import render_one, render_text
from channeld.diagnostics.render.texts import Joined, OneText, Texts, summary

__all__ = [
    "Joined",
    "OneText",
    "Texts",
    "render_github",
    "render_json",
    "render_junit",
    "render_one",
    "render_sarif",
    "render_text",
    "summary",
]
