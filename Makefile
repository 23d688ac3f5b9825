# `make demo` and `make test` are all a fresh machine needs: Python 3.11 or newer, and make.
PYTHON ?= python3
BIN := .venv/bin
LOCK := uv pip compile pyproject.toml --group dev --generate-hashes --no-emit-index-url --no-header --universal --quiet

.PHONY: install demo test slow chaos check lint types arrows promises format lock readme clean

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml .ci/install
	@echo "Installing into .venv (once, and when requirements.lock changes)"
	@PYTHON=$(PYTHON) bash .ci/install

demo: install
	@$(BIN)/python -m reelbatch.cli.demo

test: install
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not slow"

# What takes a minute and more, most of it waiting; .ci/run runs it after the others.
slow: install
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m slow

# One random storm of two minutes; STORM="--seed 7 --jobs 120 --seconds 25" chooses another.
chaos: install
	@$(BIN)/python -m bench.chaos $(STORM)

check: lint types arrows promises

promises: install
	@$(BIN)/python .ci/file_sizes.py
	@$(BIN)/python .ci/entrypoints.py
	@$(BIN)/python .ci/readme.py
	@$(BIN)/python .ci/settings.py

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: install
	@$(BIN)/mypy
	@$(BIN)/mypy --no-explicit-package-bases .ci/*.py

arrows: install
	@$(BIN)/lint-imports --no-logo

format: install
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# prefect is held where the rest of the lock was tested; 3.9 does not resolve.
lock:
	@echo 'prefect==3.8.8' | $(LOCK) --constraint /dev/stdin --output-file requirements.lock

readme: install
	@$(BIN)/python .ci/readme.py --write

clean:
	@rm -rf .venv .demo demo-archive build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
