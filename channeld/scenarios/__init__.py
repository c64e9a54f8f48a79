"""Scenario files: the real engine in virtual time, told what to do and what must come of it.

Reading order: `model.py` (what a file says), `structure.py`, `reading.py` and `steps.py` (how it is read and checked), `matching.py`
(patterns), `inbox.py` (which frame is consumed by what), `instrumentation.py` (who sent a frame; stubs; hooks that raised), `backends.py` (hooks over HTTP that are really asked),
`delivered.py` (every frame checked once more), `world.py` (the running engine and its clients), `perform.py` (what each step does),
`runner.py` (one scenario, one file), `suite.py` (many files), `coverage.py`, `outcome.py`, `secrets.py` (what is not told), and the
renderings of what came of it: `text.py`, `json.py`, `junit.py`, `github.py`. `mock.py` serves a contract
without its back end, `trace.py` follows one message. `fuzz.py` tries message hooks with values of `made_up.py`; `writing.py` writes scenarios, `recording.py` those of
real conversations. `load.py` puts a server under load, and `deliveries.py` tells it who must get what, `load_rooms.py` which rooms its clients subscribe to.
"""
