# Two commands: `make nightly` tests a whole data lake, `make test` tests this project.
PYTHON ?= python3.11
BIN := .venv/bin
MODULE := gfal2.cpython-311-x86_64-linux-gnu.so

unexport PYTHONDONTWRITEBYTECODE # or each of 33 processes compiles everything again

.DEFAULT_GOAL := help
.PHONY: help setup nightly test lint bench clean

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready ## install what is missing: Debian packages and virtual environments
	@pytest_datalake/lake/install/environment.sh swift
	@pytest_datalake/lake/install/environment.sh rucio
	@ln -sf /usr/lib/python3/dist-packages/$(MODULE) .venv/lib/python3.11/site-packages/$(MODULE)
	@ln -sfn /usr/lib/python3/dist-packages/M2Crypto .venv/lib/python3.11/site-packages/M2Crypto

.PHONY: debian
debian:
	@pytest_datalake/lake/install/debian.sh

.venv/ready: pyproject.toml | debian
	@echo "Installing Python packages into .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --editable . --group dev
	@$(BIN)/python -m pip install --quiet --no-deps 'fts3>=3.14,<4'  # its M2Crypto would need a compiler: Debian's is linked
	@touch $@

nightly: setup ## test a whole lake: start it, run every suite against it, write reports/, stop it
	@$(BIN)/python -m pytest suites/ -n 32 -q --allow-disruptive

.PHONY: browser
browser:
	@pytest_datalake/lake/install/debian.sh tests/debian-packages.txt

# worksteal keeps tests together that share a lake
test: setup browser ## run the project's own tests
	@$(BIN)/python -m pytest -n 2 --dist worksteal -q

lint: setup ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: setup browser ## measure, as ratios within one run, and write docs/benchmarks.md
	@$(BIN)/python -m tests.bench --output docs/benchmarks.md

clean: ## remove environments, caches and reports
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist reports/*
