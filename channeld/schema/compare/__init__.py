"""Compares two schemas by what they accept.

Reading order: `compare.py`, then `schema_ref.py` (what is compared), `normalize.py` and `normal_form.py` (the form for it),
`keyword_rules.py` (keyword by keyword), `difference.py` (what differs), `candidates.py` and `counterexample.py` (a value as
proof), `inclusion.py` (whether one schema includes another), `emptiness.py` (whether a conjunction is satisfiable).
"""
