"""From text to the model: YAML with locations, the language and its checks, rules; no socket, no clock.

Reading order: `model.py` (the result), `load.py` (the steps towards it). Then step by step: `letters.py`, `yaml.py`,
`syntax.py` and `tree.py` (text to values with locations), `source.py` and `environment.py` (files and variables),
`language.py` (the table of keys), `checker.py`, `normalizers.py`, `scalars.py` and `structure.py` (checked and made into
the model), `meant.py` and `aliases.py` (what was meant by a mistake), `rules/` (what a schema cannot express), `ignores.py`
(silenced findings), `redact.py` (masked secrets). `file_kinds.py` tells configurations and scenario files by their names, `reachable.py` says how to reach a bound address, `writing.py` writes
values as YAML.
"""
