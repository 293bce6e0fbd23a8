# Needs Python >= 3.11 and make; everything else is set up in .venv, and again only where pyproject.toml has changed.

VENV := .venv
BIN := $(VENV)/bin
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))

# Use it as it is given (make PYTHON=/opt/python3.13/bin/python3 test), else the first that fits.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11 python /usr/bin/python3 /usr/local/bin/python3; do \
	$$each -c '$(FITS)' >/dev/null 2>&1 && { echo $$each; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench corpus mutants cluster clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/demo.stamp  ## talk for real, interrupt, count; writes report.html and heard.wav
	$(BIN)/rtcore demo

test: lint  ## ruff, mypy and pytest
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/test.stamp  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/mypy

corpus: $(VENV)/test.stamp  ## show what changed in the outcomes of the recorded corpus, and take it as meant
	cd tests && ../$(BIN)/python -m corpus.make

mutants: $(VENV)/test.stamp  ## plant bugs in the core: is each found, does each behaviour's test notice
	$(BIN)/python -m mutants
	$(BIN)/python -m mutants --behaviours

cluster: $(VENV)/cluster.stamp  ## the same campaign on a Dask cluster of two workers, one of which is killed
	RTCORE_CLUSTER=required $(BIN)/python -m pytest -q tests/test_cluster.py

bench: $(VENV)/demo.stamp  ## microseconds per event through the core
	$(BIN)/python benchmarks/core.py

clean:  ## remove what was set up, built and written
	rm -rf $(VENV) build dist report.html heard.wav .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 (with venv and pip) found: install one, or say make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cli]'
	@touch $@

$(VENV)/cluster.stamp: $(VENV)/test.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cli,cluster]'
	@touch $@

$(VENV)/test.stamp: $(VENV)/demo.stamp
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")' > $(VENV)/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement $(VENV)/dev.txt
	@touch $@
