# Tieout: make run (the demo day, then the console), make test (everything), make bench, make check-heavy.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
PROFILE ?= embedded
ARGS ?=

.PHONY: help run test lint types house unit check-heavy bench quality kafka-up kafka-down kinesis-servers localstack-parity lock clean

help:            ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

run: $(VENV)/.core   ## a simulated trading day through the real pipeline, then the console
	@$(BIN)/tieout demo --profile $(PROFILE) $(ARGS)

test: $(VENV)/.dev   ## lint, types, import contracts, tests
	@$(MAKE) --no-print-directory lint types unit

lint: $(VENV)/.dev
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet . && $(BIN)/lint-imports --no-cache | tail -3

types: $(VENV)/.dev
	@$(BIN)/mypy --no-error-summary && echo "types: ok"

# Folders of tests/ beside each other, three at a time (tests/beside.py).
unit: $(VENV)/.dev
	@$(BIN)/python -m tests.beside -m "not heavy" $(PYTEST_ARGS)

check-heavy: $(VENV)/.dev   ## long checks: many kills, large days
	@$(BIN)/python -m pytest -q -m heavy $(PYTEST_ARGS)

quality: $(VENV)/.dev   ## how right the engine is, scored on simulated days (docs/quality.md)
	@$(BIN)/python -m bench.quality

bench: $(VENV)/.dev   ## ours and named peers side by side, as ratios
	@$(BIN)/python -m bench

# The stamps make an interrupted install start again; the dev environment holds everything the core one does.
$(VENV)/.core: requirements/core.lock pyproject.toml
	@if test -e $(VENV)/.dev; then $(MAKE) --no-print-directory $(VENV)/.dev; else $(MAKE) --no-print-directory install LOCK=core; fi
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml
	@$(MAKE) --no-print-directory install LOCK=dev
	@touch $@

.PHONY: install
install:
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3,11) <= sys.version_info[:2] <= (3,13) else "Tieout needs Python 3.11, 3.12 or 3.13; this is %s. Set PYTHON=/path/to/python3.11" % sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing requirements/$(LOCK).lock into $(VENV)"
	@$(PIP) --require-hashes -r requirements/$(LOCK).lock
	@$(PIP) --no-deps --no-build-isolation -e .

kafka-up: $(VENV)/.dev     ## Apache Kafka on loopback, one node and three, from its own jars (Java 17, Maven)
	@$(BIN)/python -m infra.kafka up

kafka-down:      ## end it and remove its data
	@test ! -x $(BIN)/python || $(BIN)/python -m infra.kafka down

kinesis-servers: ## the Kinesis emulators on Node that tests start (npm)
	@mkdir -p .kinesis && cp infra/kinesis/package.json .kinesis/ && cd .kinesis && \
	npm install --no-package-lock --omit=dev --no-audit --no-fund --loglevel=error > npm.log 2>&1 || { tail -3 npm.log; exit 1; }

localstack-parity: $(VENV)/.dev   ## the shipped machine on LocalStack, in an environment of its own (Python 3.12+)
	@$(BIN)/python -m infra.localstack

lock:            ## renew the pins (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -q pyproject.toml requirements/build.in --extra local-aws --extra fast --extra kafka --extra dev -o requirements/dev.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -q pyproject.toml requirements/build.in --extra local-aws -c requirements/dev.lock -o requirements/core.lock

clean:           ## remove the environment and local data
	rm -rf $(VENV) .tieout
