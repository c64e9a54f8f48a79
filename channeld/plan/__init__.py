"""From a valid configuration to a `Plan` that is only looked up, never parsed, while frames travel.

`compile.py` is the way in: `compile(config, sources)` gives the plan, every finding at once, and the schemas. It reads
paths (`path_syntax.py`, `paths.py`, `path_checks.py`), templates (`expressions.py`, `reach.py`, `templates.py`), channel
by channel (`channels.py`, with `site.py`, `rooms.py`, `requires.py`, `routes.py`, `deliveries.py`), and hooks
(`hooks.py`, `hook_source.py`, `hook_import.py`), on top of the schemas and what they guarantee (`schemas.py`,
`guarantees.py`). What it makes is told in `plan.py`; nothing here knows a socket, a task or a clock.
"""
