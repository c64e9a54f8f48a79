# `make run` and `make test` set up what they need; nothing else has to be installed first.
PYTHON ?= python3
BIN := .venv/bin
COMPILED := tests/test_later.py tests/test_timers.py tests/protocol tests/hub tests/engine tests/cluster tests/server tests/shadow tests/testing tests/system \
  --ignore=tests/system/test_package.py --ignore=tests/system/test_wheel.py

PYTEST := $(BIN)/pytest -q -n logical --dist worksteal -m "not wide"

# Targets beside each other, as far as this make can keep apart what they print.
BESIDE := $(MAKE) --no-print-directory -j2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=line)

# What Python compiled at an import is kept: what tests start imports it again and again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run docs test test-all test-compiled parts collected lint types layers tests fix mirror mutants bench soak threats conformance chaos restarts clean

# What serving needs, in an editable install: by uv where it is there, else by the pip of $(PYTHON), which need not be copied then, else by
# one of its own. Nothing is compiled ahead: Python does that at the first import, and most modules are never imported. A .venv that was
# left half-made is made again.
.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "channeld needs Python 3.11 or later: make run PYTHON=python3.13" >&2; exit 1; }
	@if [ -e .venv/unfinished ]; then rm -rf .venv; fi
	@mkdir -p .venv && touch .venv/unfinished
	@echo "Setting up .venv with what channeld needs (once; with pip 10 to 30 seconds)"
	@if command -v uv > /dev/null; then \
	  uv venv --quiet --seed --allow-existing --python $(PYTHON) .venv && uv pip install --quiet --python $(BIN)/python --editable .; \
	elif $(PYTHON) -m venv --without-pip .venv && $(PYTHON) -m pip --python $(BIN)/python --version > /dev/null 2>&1; then \
	  $(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-compile --editable .; \
	else \
	  $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable .; \
	fi
	@mv .venv/unfinished $@

# Adds an extra to .venv, which may have been made without a pip of its own.
EXTRA = if command -v uv > /dev/null; then \
	  uv pip install --quiet --python $(BIN)/python --editable '.[$1]'; \
	else \
	  $(BIN)/python -m ensurepip > /dev/null && $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[$1]'; \
	fi
HAS_SPHINX = $(BIN)/python -c "import furo, myst_parser" 2> /dev/null

# What tests, types and lint need as well.
.venv/ready-to-test: .venv/ready
	@echo "Adding what the tests need to .venv (once)"
	@$(call EXTRA,test)
	@touch $@

run: .venv/ready  ## serve the shipped channels.yaml, with tokens to try it
	$(BIN)/channeld run --dev $(if $(BIND),--bind $(BIND))

test:  ## everything that has to pass before a commit
	@$(BESIDE) types lint layers parts collected
	$(PYTEST)

lint: .venv/ready-to-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/python -m tests.sizes

types: .venv/ready-to-test
	$(BIN)/mypy

layers: .venv/ready-to-test
	$(BIN)/lint-imports --no-cache

tests: .venv/ready-to-test parts
	$(PYTEST)

# What is beside Python: it needs no environment, and is installed while that is made.
parts:
	@$(PYTHON) tests/system_parts.py

# The tests as pytest compiles them, for all its workers. What is wrong with one is said when it is run.
collected: .venv/ready-to-test
	@$(BIN)/pytest --collect-only -qq > /dev/null || true

test-all: .venv/ready-to-test parts  ## what needs other people's programs: clients, deployment files (after make test)
	@$(HAS_SPHINX) || { $(call EXTRA,docs); }
	$(BIN)/pytest -q -m wide

test-compiled: .venv/ready-to-test  ## a wheel that mypyc compiled, and the tests of what is in it (needs a C compiler)
	rm -rf build/compiled
	CHANNELD_COMPILE=1 $(BIN)/python -m hatchling build -t wheel -d build/compiled
	$(BIN)/python bench/compiled.py --lay-out build/compiled
	cd build/compiled/tree && ../venv/bin/python -m pytest -q $(COMPILED)

mirror: .venv/ready-to-test  ## how much of each module its own test module covers
	$(BIN)/python -m tests.mirror

mutants: .venv/ready-to-test  ## small faults that no test notices
	$(BIN)/python -m tests.mutants

fix: .venv/ready-to-test  ## what ruff can fix by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

threats: .venv/ready-to-test  ## every test that docs/threat-tests.md names, and the line at its head
	$(BIN)/python -m tests.docs.threats

conformance: .venv/ready-to-test  ## all 517 Autobahn cases over every path, and docs/conformance.md
	$(BIN)/python -m tests.conformance

bench: .venv/ready-to-test  ## channeld and its peers in one run, and docs/benchmarks.md
	$(BIN)/python bench/run.py --docs

chaos: .venv/ready-to-test  ## five minutes of nodes that die and a Redis that stops, with a checker
	$(BIN)/python -m tests.chaos --seconds 300

docs: .venv/ready  ## the documentation site, into build/docs
	@$(HAS_SPHINX) || { echo "Adding what the documentation needs to .venv (once)"; $(call EXTRA,docs); }
	$(BIN)/python -m sphinx -q -W --keep-going -c docs/site -b html docs build/docs
	@echo "Open build/docs/index.html"

restarts: .venv/ready-to-test  ## 200 clients through ten restarts by --take-over, and how long they were away
	$(BIN)/python -m tests.system.restarts --clients 200 --restarts 10

soak: .venv/ready-to-test  ## every attack in full for some minutes, and docs/topics/hostile-clients.md
	$(BIN)/python -m tests.hostile --minutes 5

clean:
	rm -rf .venv build dist bench/build .mypy_cache .ruff_cache .pytest_cache .hypothesis
