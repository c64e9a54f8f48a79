"""Diagnostics: their values, the catalogue of all codes, and their renderings.

Reading order: `diagnostic.py` (a finding), `catalogue.py` (all codes, explained by the Markdown files in `codes/`), `render/`.
"""
