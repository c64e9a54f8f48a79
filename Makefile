# One line a target. `make run` and `make test` set up what they need; nothing else has to be installed first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-all lint types layers tests fix mirror mutants bench soak conformance chaos clean

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

run: .venv/ready  ## serve the shipped channels.yaml, with tokens to try it
	$(BIN)/channeld run --dev $(if $(BIND),--bind $(BIND))

test: lint types layers tests  ## everything that has to pass before a commit

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/python -m tests.sizes

types: .venv/ready
	$(BIN)/mypy

layers: .venv/ready
	$(BIN)/lint-imports --no-cache

tests: .venv/ready
	$(BIN)/python tests/system_parts.py
	$(BIN)/pytest -q -n auto --dist worksteal -m "not wide"

test-all: .venv/ready  ## what needs other people's programs: clients, deployment files (after make test)
	$(BIN)/python tests/system_parts.py
	$(BIN)/pytest -q -m wide

mirror: .venv/ready  ## how much of each module its own test module covers
	$(BIN)/python -m tests.mirror

mutants: .venv/ready  ## small faults that no test notices
	$(BIN)/python -m tests.mutants

fix: .venv/ready  ## what ruff can fix by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

conformance: .venv/ready  ## all 517 Autobahn cases over every path, and docs/conformance.md
	$(BIN)/python -m tests.conformance

bench: .venv/ready  ## channeld and its peers in one run, and docs/benchmarks.md
	$(BIN)/python bench/run.py

chaos: .venv/ready  ## five minutes of nodes that die and a Redis that stops, with a checker
	$(BIN)/python -m tests.chaos --seconds 300

soak: .venv/ready  ## every attack in full for some minutes, and docs/topics/hostile-clients.md
	$(BIN)/python -m tests.hostile --minutes 5

clean:
	rm -rf .venv build dist bench/build .mypy_cache .ruff_cache .pytest_cache .hypothesis
