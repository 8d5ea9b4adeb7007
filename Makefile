# Each target makes its own .venv and installs what it needs when that is missing or out of date.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PEERS := .venv-peers

.PHONY: demo test lint bench clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "unet2015 needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; say which: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/python -m pipelines.demo

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(PEERS)/.ready: pyproject.toml benchmarks/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers.txt -e '.[bench]'
	touch $(PEERS)/.ready

# What is measured is first seen to run, at tiny size and with the peers.
bench: $(PEERS)/.ready
	$(PEERS)/bin/python -m pytest -q --benchmark-disable tests/benchmarks
	$(PEERS)/bin/python -m benchmarks
	$(PEERS)/bin/python -m benchmarks.summary

clean:
	rm -rf .venv $(PEERS) build dist *.egg-info demo
