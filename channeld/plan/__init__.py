"""Compiles a valid configuration into a `Plan`, which is only looked up, never parsed, while frames travel.

`compile.py` is the entry point: `compile(config, sources)` returns the plan, all findings, and the schemas. It reads paths
(`path_syntax.py`, `paths.py`, `path_checks.py`), templates (`expressions.py`, `identity.py`, `template_scope.py`,
`templates.py`, `template_closures.py`), channel by channel (`channels.py`, with `context.py`, `room_patterns.py`, `requires.py`,
`routes.py` with `targets/`, `deliveries.py`), and hooks (`hooks.py`, `hook_source.py`, `hook_import.py`), on top of
`channeld.schema`. Options of messages are in `options/`; `claim_paths.py` reads the keys of `require`, `claims.py` compares
`claims` with what the server asks, `query.py` reads the params of a query; `proof.py`, with `rendered.py`, proves that what is
delivered is valid; `sensitive.py` knows which values must not be shown, `private_rooms.py` which rooms belong to one user.
`plan.py` describes the result; `load.py` goes from a file name to a plan. Nothing here knows a socket, a task or a clock.
"""
