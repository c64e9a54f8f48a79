"""Scenario files: tests that run against the real engine in virtual time.

Reading order: `model.py` (the contents of a file), `structure.py`, `reading.py` and `steps.py` (reading and checking it),
`matching.py` (patterns), `inbox.py` (which step consumes which frame), `instrumentation.py` (who sent a frame; stubs; hooks
that raised), `live_backends.py` (hooks over HTTP that are really called), `frame_checks.py` (every frame checked once more),
`world.py` (the running engine and its clients), `perform.py` (what each step does), `runner.py` (one scenario, one file),
`suite.py` (many files), `coverage.py`, `outcome.py`, `secrets.py` (what is masked), and the renderings of results:
`text.py`, and `reports.py` for machines. `mock.py` serves a contract without its back end, `trace.py` follows one
message, and `trace_words.py` describes its steps. `fuzz.py` calls message hooks with values from `made_up.py`; `scenario_text.py` writes scenarios, `recording.py` those of
real conversations. `load_generator.py` puts a server under load, and `load_result.py` says how it went; `receivers.py` says who must receive what, and `load_rooms.py`
which rooms its clients subscribe to.
"""
