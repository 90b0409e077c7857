# Everything a person does here. `make help` lists it.
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-claude test test-all lint format lock bench corpus evals chaos clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV := $(shell command -v uv 2>/dev/null)
# One worker more than the two cores that the suite's time is measured on: a fifth of it is waiting. Bytecode may be
# written: without it each worker rewrites the asserts of all tests again, at every run, for 4 s
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist loadgroup

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[36m%-11s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv and the toolchain of generated connectors (uv where present, else venv + pip)

$(STAMP): pyproject.toml infra/runtime/toolchain/requirements.txt
ifdef UV
	@test -x $(BIN)/python || $(UV) venv --quiet --seed --python '>=3.11' $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python --editable '.[all,dev]'
else
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all,dev]'
endif
	@$(BIN)/python -m compileall -q contracts gateway infra services
	$(BIN)/python -m infra.runtime.toolchain
	@touch $@

demo: setup ## Build a connector for the sample CRM, install it, read with it and compare
	@$(BIN)/connectors demo

demo-claude: setup ## The same by the Claude engine, through every repair loop; a scripted Claude: no key, no network
	@$(BIN)/python -m tests.support.claude_demo

test: setup ## All tests (under 10 minutes on 2 cores)
	$(PYTEST) -m 'not slow'

test-all: setup ## The slow ones too, and real clients in venvs of their own (made once; skipped without a registry)
	$(PYTEST) -rs --durations 20 --durations-min 10

lint: setup ## ruff, mypy strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Let ruff format and fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup ## Pin what the images install, after a change of dependencies (needs uv)
	$(BIN)/python -m infra.deploy.lock

bench: setup ## Speed, memory and size beside the peers; BENCH='extraction spec' for some of them
	$(BIN)/python -m tests.benchmarks $(BENCH)

corpus: setup ## All documents of CORPUS_DIR through the real pipeline, and the scoreboard (~10 minutes)
	$(BIN)/python -m tests.corpus

evals: setup ## A real model (needs a key) on twenty real APIs; EVALS_BUDGET_USD=100, RECORD=name, REPLAY=name, EVALS='--withheld'
	$(BIN)/python -m tests.evals $(if $(EVALS_BUDGET_USD),--budget-usd $(EVALS_BUDGET_USD)) \
		$(if $(RECORD),--record $(RECORD)) $(if $(REPLAY),--replay $(REPLAY)) $(EVALS)

chaos: setup ## 200 pipelines while everything is killed at random; SEED=N repeats a run (under 10 minutes)
	$(BIN)/python -m tests.chaos --pipelines 200 $(if $(SEED),--seed $(SEED))

clean: ## Remove what was built here; keeps output/
	rm -rf $(VENV) .connectors dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
