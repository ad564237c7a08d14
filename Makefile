# Two commands on a fresh machine with Python, pip and make:  make run   make test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1
# Compiled modules are kept even where the environment says otherwise: tests start many processes, and each would compile
# torch and scipy again, four seconds of processor time.
export PYTHONDONTWRITEBYTECODE :=

# A worker takes ten seconds of processor time to begin with: more than four would cost more than they save. One file's
# tests stay together, because they share what they make.
PYTEST := $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile -rs

.PHONY: setup run picture tables test test-all test-golden test-matrix test-on-old test-on-usual test-on-new test-twice \
	lint docs clean
.DELETE_ON_ERROR:

setup: $(VENV)/.ready

run: $(VENV)/.ready
	$(BIN)/bench run --suite simroom --out runs/simroom

# The README's picture of the default run, two minutes; and with it the manual's tables of statistics, some minutes more.
picture: $(VENV)/.ready-dev run
	$(BIN)/python scripts/make_picture.py runs/simroom
tables: picture
	$(BIN)/python scripts/make_tables.py

# Networks of their published sizes against stored numbers are for test-golden; here their parts and smaller ones are.
QUICK = $(PYTEST) -m "not slow and not full_size"
test: $(VENV)/.ready-test
	$(QUICK)

test-all: $(VENV)/.ready-test
	$(PYTEST)

# Stored numbers as a machine finds them that has other instructions, and whose libraries round the last bit otherwise.
test-golden: $(VENV)/.ready-test
	MKL_CBWR=AVX2 ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=AVX2 $(PYTEST) -m "golden and not slow" --other-rounding

# The whole suite as other machines round: each library takes a setting of its own, so that one run has all at one level.
old := MKL_CBWR=COMPATIBLE ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 OPENBLAS_CORETYPE=Nehalem
usual := MKL_CBWR=AVX2 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell
new := MKL_CBWR=AVX512 OMP_NUM_THREADS=2
test-matrix: test-on-old test-on-usual test-on-new test-twice
test-on-old test-on-usual test-on-new: test-on-%: $(VENV)/.ready-test
	env $($*) $(PYTEST) -q -m "not slow"

# Under load: two copies at once.
test-twice: $(VENV)/.ready-test
	$(QUICK) -q & first=$$!; $(QUICK) -q; second=$$?; wait $$first && exit $$second

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

# uv installs several times faster; where it is not to be had or cannot reach the index, pip does the same. Modules are
# compiled once, here: otherwise each of the processes that a first `make test` starts compiles what it imports.
define install
	UV=$$(command -v uv || echo $(BIN)/uv); \
	$$UV pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable "$(1)" \
	|| $(BIN)/pip install --quiet --constraint constraints.txt --editable "$(1)"
	@touch $@
endef

$(VENV)/.ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,.[report])
$(VENV)/.ready-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,.[test$(comma)rooms$(comma)video$(comma)aesthetics$(comma)reference])
	@touch $(VENV)/.ready
$(VENV)/.ready-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,.[dev$(comma)rooms$(comma)video$(comma)aesthetics$(comma)reference])
	@touch $(VENV)/.ready $(VENV)/.ready-test $(VENV)/.ready-docs
$(VENV)/.ready-docs: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,.[docs])
	@touch $(VENV)/.ready
comma := ,
