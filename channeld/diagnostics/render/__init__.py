"""Findings as text for people, and as JSON, GitHub annotations, SARIF and JUnit for machines: pure functions to str.

Reading order: `texts.py` (what a rendering is given), `code_frames.py` (code frames), `painter.py` (how a terminal shows them),
`text.py`, then `markdown.py` (pieces of it, for exports and reports), and a module for each form that machines read, which a
command imports where that form is asked for: `json.py`, `github.py`, `sarif.py`, `junit.py`.
"""

from channeld.diagnostics.render.text import render_one, render_text
from channeld.diagnostics.render.texts import Joined, OneText, Texts, summary

__all__ = [
    "Joined",
    "OneText",
    "Texts",
    "render_one",
    "render_text",
    "summary",
]
