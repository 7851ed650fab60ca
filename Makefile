# Two commands do everything: `make quickstart` and `make test`.
# Anything they need is installed into .venv first.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
QUICKSTART := runs/quickstart
# One math thread a process: trials run side by side.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, got " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip uv

# `make quickstart TORCH=cpu` takes PyTorch's builds without CUDA: far less to download.
# Not run by us yet: the machine that this was written on does not reach that index.
TORCH ?=
ifeq ($(TORCH),)
TORCH_BACKEND :=
SIZE := several GB (PyTorch with CUDA; TORCH=cpu takes a build without)
else
TORCH_BACKEND := --torch-backend $(TORCH)
SIZE := what PyTorch for $(TORCH) and its companions need
endif
# Downloads and their sizes are shown, the list of everything installed is not.
# editable_mode=compat: a path instead of a hook, whose imports take 20 ms of every start.
UV_INSTALL := $(BIN)/uv pip install --python $(BIN)/python --compile-bytecode $(TORCH_BACKEND) \
	-C editable_mode=compat
QUIETLY := 2>&1 | sed -u '/^ [-+~] /d'

# Compiled bytecode: without it every start of a worker takes three times as long.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV): $(SIZE)"
	$(UV_INSTALL) -c constraints.txt -e . $(QUIETLY)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(UV_INSTALL) -c constraints.txt -e '.[dev]' $(QUIETLY)
	@touch $@

install: $(VENV)/.installed  ## Install the tool into .venv

quickstart: $(VENV)/.installed  ## Run a real search, print the front, export the best
	@if [ -d $(QUICKSTART) ]; then $(BIN)/nas resume $(QUICKSTART); \
	else $(BIN)/nas search quickstart --out $(QUICKSTART); fi
	$(BIN)/nas pareto $(QUICKSTART) --plot $(QUICKSTART)/pareto.png
	$(BIN)/nas export $(QUICKSTART) best --to $(QUICKSTART)/export --force

test: $(VENV)/.installed-dev lint types  ## Lint, types and the fast tests
	$(BIN)/python -m pytest -q -n 2

lint: $(VENV)/.installed-dev  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev  ## mypy --strict on the three packages
	$(BIN)/mypy

test-slow: $(VENV)/.installed-dev  ## The tests that take longer than 20 s each
	$(BIN)/python -m pytest -q -m slow --timeout 900

docs: $(VENV)/.installed-dev  ## Write the documentation and the Python reference to site/
	$(BIN)/python -m sphinx -q -W --keep-going -c docs -d build/doctrees . site
	$(BIN)/python -m pdoc -d google -t docs/api_style -o site/api search_spaces evaluators nas
	@echo "open site/index.html and site/api/index.html"

chaos: $(VENV)/.installed-dev  ## Kill workers, nodes and the driver of a real search
	$(BIN)/python benchmarks/chaos.py

clean:  ## Remove .venv and caches (studies stay)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

.PHONY: help install quickstart test lint types test-slow docs chaos clean
