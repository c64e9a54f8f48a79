"""Everything that understands JSON Schema: documents and references, checks, validators, guarantees, comparison.

Reading order: `words.py` (values and types as people call them), `vocabulary.py` (keywords), `documents.py` and `drafts.py`
(locations of schemas, and what references mean), `schemas.py` (all of a configuration), `bundle.py` and `definitions.py`
(self-contained ones), `compiled.py`, `explain.py` and `violations.py` (validation and explanations), `cases.py` (a schema
expanded), `guarantees.py` and `sample.py` (read from that), `lint.py`, `large_enum.py`, `checks.py` and
`schema_file.py` (what is wrong with one), `sensitive.py` (values that are masked), `compare/`.
"""
