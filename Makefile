# Two commands on a fresh machine with Python, pip and make:  make run   make test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1

.PHONY: setup run test test-all lint docs clean
.DELETE_ON_ERROR:

setup: $(VENV)/.ready

run: $(VENV)/.ready
	$(BIN)/bench run --suite simroom --out runs/simroom

test: $(VENV)/.ready-test
	$(BIN)/pytest -n auto -rs -m "not slow"

test-all: $(VENV)/.ready-test
	$(BIN)/pytest -n auto -rs

lint: $(VENV)/.ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Warnings are errors: a link or a docstring that cannot be read. Pages of modules that are gone must not stay.
docs: $(VENV)/.ready-docs
	rm -rf build/site docs/api/modules
	$(BIN)/sphinx-build -b html -W --keep-going -q -d build/doctrees docs build/site
	@echo "build/site/index.html"

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis docs/api/modules

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	-@command -v uv >/dev/null || $(BIN)/pip install --quiet uv

# uv installs several times faster; where it is not to be had or cannot reach the index, pip does the same.
define install
	UV=$$(command -v uv || echo $(BIN)/uv); \
	$$UV pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable "$(1)" \
	|| $(BIN)/pip install --quiet --constraint constraints.txt --editable "$(1)"
	@touch $@
endef

$(VENV)/.ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,.)
$(VENV)/.ready-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,.[test$(comma)rooms$(comma)video$(comma)reference])
	@touch $(VENV)/.ready
$(VENV)/.ready-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,.[dev$(comma)rooms$(comma)video$(comma)reference])
	@touch $(VENV)/.ready $(VENV)/.ready-test $(VENV)/.ready-docs
$(VENV)/.ready-docs: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,.[docs])
	@touch $(VENV)/.ready
comma := ,
