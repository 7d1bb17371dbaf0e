# make demo, make test: each makes the .venv that it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# What must hold whichever road messages take.
EVERY_ROAD := tests/pyacq_rpc/peers tests/pyacq_rpc/loops tests/spawner/test_process.py \
	tests/test_what_went_wrong_before.py

# Tests that are run with each binding of Qt, the default one first.
EVERY_BINDING := tests/pyacq_rpc/qt tests/pyacq_rpc/people/test_demo_window.py \
	tests/pyacq_rpc/people/test_demo_gui.py
OTHER_BINDINGS := pyqt6 pyside6

# Debian packages that the wheels of Qt rely on, which bring no font; the second ones for
# showing windows.
QT_PACKAGES := libgl1 libegl1 libglib2.0-0 libfontconfig1 libdbus-1-3 libxkbcommon0 \
	fonts-dejavu-core
WINDOW_PACKAGES := libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-render-util0 \
	libxcb-shape0 libxcb-xinerama0 libxcb-cursor0 libxkbcommon-x11-0

SECONDS ?= 120

.DEFAULT_GOAL := help
.PHONY: help demo test test-all fuzz check bench docs soak clean

help:
	@echo "make demo   run the main job: three live nodes, a table, a window with live curves"
	@echo "make test   run the tests"
	@echo "make test-all  build the wheel, and run the tests on it with each supported Python"
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
	@$(BIN)/python .ci/qt-loads $(if $(DISPLAY),--windows) PyQt5 || \
		.ci/apt-install $(QT_PACKAGES) $(if $(DISPLAY),$(WINDOW_PACKAGES)) || true
	$(BIN)/python -m pyacq_rpc demo

# Windows are tested on a virtual screen, and skipped where there is none.
# The hosts of some tests are network namespaces; they are skipped where those cannot be.
test: $(VENV)/installed-test
	@command -v ip >/dev/null || [ "$$(id -u)" != 0 ] || .ci/apt-install iproute2 || true
	@for binding in PyQt5 PyQt6 PySide6; do $(BIN)/python .ci/qt-loads --windows $$binding || \
		{ .ci/apt-install $(QT_PACKAGES) $(WINDOW_PACKAGES) || true; break; }; done
	@{ command -v Xvfb && command -v xdotool; } >/dev/null || .ci/apt-install xvfb xdotool || true
	$(BIN)/python -m pytest -n auto
	set -e; for binding in $(OTHER_BINDINGS); do \
		QT_API=$$binding $(BIN)/python -m pytest -n auto $(EVERY_BINDING); done
	PYACQ_RPC_ROADS=zmq $(BIN)/python -m pytest -n auto $(EVERY_ROAD)

PYTHONS ?= python3.10 python3.11 python3.12 python3.13

test-all: $(BIN)/python
	rm -rf $(VENV)/wheel
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir $(VENV)/wheel .
	@failed=; for python in $(PYTHONS); do \
		.ci/test-wheel "$$(echo $(CURDIR)/$(VENV)/wheel/*.whl)" $$python $(VENV)/$$(basename $$python) \
			|| failed="$$failed $$python"; \
	done; [ -z "$$failed" ] || { echo "failed:$$failed" >&2; exit 1; }

FUZZ_SECONDS ?= 600

fuzz: $(VENV)/installed-test
	$(BIN)/python tests/fuzz/fuzz_wire.py --seconds $(FUZZ_SECONDS)
	$(BIN)/python tests/fuzz/fuzz_session.py --seconds $(FUZZ_SECONDS)
	$(BIN)/python tests/fuzz/fuzz_server.py --seconds $(FUZZ_SECONDS) --road direct
	$(BIN)/python tests/fuzz/fuzz_server.py --seconds $(FUZZ_SECONDS) --road zmq

check: $(VENV)/installed-check
	@$(BIN)/python .ci/qt-loads PyQt5 || .ci/apt-install $(QT_PACKAGES) || true
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

docs: $(VENV)/installed-docs
	@$(BIN)/python .ci/qt-loads PyQt5 || .ci/apt-install $(QT_PACKAGES) || true
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks --busy

soak: $(VENV)/installed-test
	$(BIN)/python tests/soak/run.py --seconds $(SECONDS)

clean:
	rm -rf $(VENV) docs/_build .pytest_cache .mypy_cache .ruff_cache
