"""From text to the model: YAML with places, the language and its checks, rules; no socket, no clock.

Reading order: `model.py` (what a configuration says), `load.py` (the way there). Then along it: `letters.py`, `yaml.py`, `syntax.py` and
`tree.py` (text to values with places), `source.py` and `environment.py` (files and variables), `language.py` (the table of keys),
`checker.py`, `normalizers.py`, `scalars.py` and `structure.py` (checked and made into the model), `meant.py` and `aliases.py` (what
was meant by what is wrong), `rules/` (what a schema cannot say), `ignores.py` (findings that are silenced), `redact.py` (secrets that are not shown). `reachable.py` says where a bound
address is reached, `writing.py` writes values as YAML.
"""
