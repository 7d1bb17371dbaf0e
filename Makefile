# make demo, make test: each makes the .venv that it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# What must hold whichever road messages take.
EVERY_ROAD := tests/pyacq_rpc/peers tests/pyacq_rpc/loops tests/spawner/test_process.py \
	tests/test_what_went_wrong_before.py

SECONDS ?= 120

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz check bench docs soak clean

help:
	@echo "make demo   run the main job: two live nodes, a table, a plot"
	@echo "make test   run the tests"
	@echo "make fuzz   send garbage to each floor and to a live server, for ten minutes each"
	@echo "make check  lint, types, documentation with warnings as errors"
	@echo "make bench  measure against raw pyzmq and other projects: tables, a plot"
	@echo "make soak   let nodes work for two minutes while some are killed; SECONDS=3600 for an hour"
	@echo "make docs   build the pages in docs/_build/html"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or later is needed; say which with: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || .ci/apt-install python3-venv
	$(PYTHON) -m venv $(VENV)

# One stamp for each set of extras, renewed when pyproject.toml changes.
$(VENV)/installed-%: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

demo: $(VENV)/installed-demo
	$(BIN)/python -m pyacq_rpc demo

# The hosts of some tests are network namespaces; they are skipped where those cannot be.
test: $(VENV)/installed-test
	@command -v ip >/dev/null || [ "$$(id -u)" != 0 ] || .ci/apt-install iproute2 || true
	$(BIN)/python -m pytest -n auto
	PYACQ_RPC_ROADS=zmq $(BIN)/python -m pytest -n auto $(EVERY_ROAD)

FUZZ_SECONDS ?= 600

fuzz: $(VENV)/installed-test
	$(BIN)/python tests/fuzz/fuzz_wire.py --seconds $(FUZZ_SECONDS)
	$(BIN)/python tests/fuzz/fuzz_session.py --seconds $(FUZZ_SECONDS)
	$(BIN)/python tests/fuzz/fuzz_server.py --seconds $(FUZZ_SECONDS) --road direct
	$(BIN)/python tests/fuzz/fuzz_server.py --seconds $(FUZZ_SECONDS) --road zmq

check: $(VENV)/installed-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

docs: $(VENV)/installed-docs
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks --busy

soak: $(VENV)/installed-test
	$(BIN)/python tests/soak/run.py --seconds $(SECONDS)

clean:
	rm -rf $(VENV) docs/_build .pytest_cache .mypy_cache .ruff_cache
