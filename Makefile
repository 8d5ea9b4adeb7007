# Each target makes its own .venv and installs what it needs when that is missing or out of date.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PEERS := .venv-peers
EXCHANGE := .venv-exchange
NAPARI := .venv-napari
PIP := -m pip install --quiet --disable-pip-version-check
SAYS := tests/benchmarks/test_summary.py::test_the_documents_say_what_the_results_say

.PHONY: demo fast test napari programs lint wheel docs bench exchange clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "unet2015 needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; say which: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) -c constraints.txt -e '.[dev]' || .ci/no-index
	touch $(READY)

demo: $(READY)
	$(BIN)/python -m pipelines.demo

# Tests run in two halves side by side, one thread each; what the first says is shown after the second. Words go
# through, in one process: make test TESTS="tests/images -x"
HALF := $(addprefix tests/,benchmarks docs exchange golden networks objects tiling training)
define in_halves
	@words=$$(mktemp); $(BIN)/python -m pytest $(1) $(HALF) > $$words 2>&1 & other=$$!; \
	$(BIN)/python -m pytest $(1) $(addprefix --ignore=,$(HALF)); mine=$$?; \
	wait $$other; theirs=$$?; cat $$words; rm -f $$words; exit $$((mine + theirs))
endef
fast test: export OMP_NUM_THREADS = 1

# While working: at least one test of every promise, in about a minute on two cores. What takes longer is
# marked slow (pyproject.toml).
fast: $(READY)
ifdef TESTS
	$(BIN)/python -m pytest -m "not slow" $(TESTS)
else
	$(call in_halves,-m "not slow")
endif

# Before a change lands: all of them.
test: $(READY) programs
ifdef TESTS
	$(BIN)/python -m pytest $(TESTS)
else
	$(call in_halves)
endif

# napari and its Qt, on top of what .venv has, so that they are not in the way of the others.
SITE := import site; print("import site; site.addsitedir({!r})".format(site.getsitepackages()[0]))
$(NAPARI)/.ready: $(READY)
	$(PYTHON) -m venv $(NAPARI)
	$(BIN)/python -c '$(SITE)' > "$$($(NAPARI)/bin/python -c 'import site; print(site.getsitepackages()[0])')/base.pth"
	$(NAPARI)/bin/python $(PIP) --no-compile -c constraints.txt napari napari-ome-zarr PySide6-Essentials pytest-qt || .ci/no-index
	touch $(NAPARI)/.ready

# The plug-in within napari, and results as napari opens them; without a screen.
napari: export OMP_NUM_THREADS = 1
napari: export QT_QPA_PLATFORM = offscreen
napari: export QT_API = pyside6
napari: $(NAPARI)/.ready
	@.ci/qt
	$(NAPARI)/bin/npe2 validate unet2015/napari_plugin/napari.yaml
	$(NAPARI)/bin/python -m pytest -W default tests/napari_plugin/in_napari.py

# Installs Chromium and ImageJ if root says make; else says in a line how to get them. Never asks sudo.
programs:
	@.ci/chromium
	@.ci/imagej

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Source distribution and wheel in dist, with the setuptools that is here; tests/packaging looks into both,
# installs the wheel and runs it.
wheel: $(READY)
	$(BIN)/python -m build --quiet --no-isolation

.venv/.ready-docs: $(READY)
	$(BIN)/python $(PIP) -c constraints.txt -e '.[docs]' || .ci/no-index
	touch .venv/.ready-docs

docs: .venv/.ready-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(PEERS)/.ready: pyproject.toml benchmarks/peers.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13) and "the peers need Python 3.11 or 3.12, this is " + sys.version.split()[0] + "; say which: make bench PYTHON=python3.12")'
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python $(PIP) -r benchmarks/peers.txt -e '.[bench]' || .ci/no-index
	$(PEERS)/bin/python -m benchmarks.peers
	touch $(PEERS)/.ready

# What is measured is first seen to run, at tiny size and with the peers. What the documents say of the
# results is made again at the end, also where a benchmark failed.
bench: $(PEERS)/.ready
	$(PEERS)/bin/python -m pytest -q --benchmark-disable tests/benchmarks --deselect $(SAYS)
	$(PEERS)/bin/python -m benchmarks; status=$$?; $(PEERS)/bin/python -m benchmarks.summary && exit $$status

$(EXCHANGE)/.ready: benchmarks/exchange.txt
	$(PYTHON) -m venv $(EXCHANGE)
	$(EXCHANGE)/bin/python $(PIP) -r benchmarks/exchange.txt || .ci/no-index
	touch $(EXCHANGE)/.ready

# Runs exported models in other programs and writes the table of docs/export.md; about ten minutes.
exchange: $(READY) $(EXCHANGE)/.ready
	$(BIN)/python -m benchmarks.conformance

clean:
	rm -rf .venv $(PEERS) $(EXCHANGE) $(NAPARI) build dist site *.egg-info demo
