# Every command of the project. From a clean clone only Python 3.11+ and make are needed; all of them can be run again.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate
CODE := src tests benchmarks jobs
DEMO_ARGS ?=
BENCH_ARGS ?=
TESTS ?=
MINUTES ?= 10

.DEFAULT_GOAL := help
LINTS := lint-format lint-code lint-types lint-imports lint-words
.PHONY: help setup demo test check lint $(LINTS) docs bench chaos long fuzz properties lock check-pythons clean-clone clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | while IFS="$$(printf '\t')" read -r name does; do printf '  make %-14s %s\n' "$$name" "$$does"; done

setup: $(STAMP) ## make .venv with everything in it, from the lock file
$(STAMP): requirements/dev.txt requirements/uv.txt pyproject.toml scripts/setup.sh
	@PYTHON="$(PYTHON)" sh scripts/setup.sh $(VENV)
	@touch $@

demo: setup ## run the whole workflow on generated data, then serve the console (DEMO_ARGS=--once: check and leave)
	@$(BIN)/headgate demo $(DEMO_ARGS)

test: setup ## run all the tests (TESTS=tests/flow: only those)
	@[ "$$HEADGATE_NO_POSTGRES" = 1 ] || sh scripts/debian.sh postgresql
	@[ "$$HEADGATE_NO_BROWSER" = 1 ] || sh scripts/debian.sh chromium
	@sh scripts/debian.sh awscli || echo "test: going without Debian's aws (version 2); what needs it is skipped"
	@sh scripts/test.sh $(TESTS)

check: lint test ## all that CI asks for: formatting, lint, types, import rules, spelling, tests

lint: $(LINTS) ## formatting, lint, types, import rules, spelling
lint-format: setup
	$(BIN)/ruff format --check .
lint-code: setup
	$(BIN)/ruff check .
lint-types: setup
	$(BIN)/pyright
lint-imports: setup
	$(BIN)/lint-imports --no-logo
lint-words: setup
	$(BIN)/codespell

docs: setup ## write again what is generated: docs/settings.md, docs/cli.md
	$(BIN)/python scripts/write_docs.py

bench: setup ## measure, and print the table of docs/benchmarks.md (BENCH_ARGS goes to benchmarks/run.py)
	@sh scripts/debian.sh postgresql wrk
	$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

chaos: setup ## kill servers under load for MINUTES=10, and judge what is left
	@[ "$$HEADGATE_NO_POSTGRES" = 1 ] || sh scripts/debian.sh postgresql
	cd tests && ../$(BIN)/python -m chaos.long --minutes $(MINUTES)

long: setup ## what takes minutes: 1,000 tables read by datahub ingest and by our engine, a recipe that prints 2 GB
	$(BIN)/python -W ignore benchmarks/equality.py
	$(BIN)/python -W ignore benchmarks/chatter.py
	$(BIN)/python -W ignore benchmarks/chatter.py --masked

fuzz: setup ## send made-up calls to the REST API and to Glue's for MINUTES=10, and judge the answers
	$(BIN)/python tests/http/fuzz_long.py --minutes $(MINUTES)

properties: setup ## try many more examples of each property, others each time (TESTS=tests/flow: only those)
	$(BIN)/pytest -n 4 --dist worksteal -m "hypothesis and not chaos" --hypothesis-profile=thorough --timeout=1800 $(TESTS)

lock: setup ## resolve requirements/*.txt again (LOCK_ARGS=--upgrade: to newer versions) for Python 3.11 to 3.13
	$(UV_COMPILE) --python-version 3.11 $(LOCK_ARGS) --group bootstrap --output-file requirements/uv.txt
	$(UV_COMPILE) --python-version 3.11 $(LOCK_ARGS) pyproject.toml --all-extras --output-file requirements/runtime.txt
	$(UV_COMPILE) --python-version 3.11 $(LOCK_ARGS) pyproject.toml --all-extras --group dev --output-file requirements/dev.txt

check-pythons: setup ## Python 3.12 and 3.13, which no test runs on: the lock resolves for them, and the code's types hold
	@for version in 3.12 3.13; do \
		echo "Python $$version: the lock resolves"; \
		$(UV_COMPILE) --python-version $$version pyproject.toml --all-extras --group dev --constraint requirements/dev.txt > /dev/null || exit 1; \
		echo "Python $$version: the types hold"; \
		$(BIN)/pyright --pythonversion $$version src || exit 1; \
	done

clean-clone: ## what someone new does: clone into an empty folder, demo, some tests
	sh scripts/clean-clone.sh

clean: ## remove what `make` made (never .headgate, which is state)
	rm -rf $(VENV) .demo .bench .hypothesis .pytest_cache .ruff_cache .import_linter_cache dist build
	find src tests benchmarks jobs -name __pycache__ -type d -prune -exec rm -rf {} +
