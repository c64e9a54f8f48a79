"""Scenario files: the real engine in virtual time, told what to do and what must come of it.

Reading order: `model.py` (what a file says), `structure.py` and `steps.py` (how it is read and checked), `matching.py`
(patterns), `inbox.py` (which frame is consumed by what), `probe.py` (who sent a frame; stubs; hooks that raised),
`stage.py` (the running engine and its clients), `runner.py` (one scenario, one file), `suite.py` (many files), and the
renderings of what came of it: `text.py`, `json.py`, `junit.py`, `github.py`.
"""
