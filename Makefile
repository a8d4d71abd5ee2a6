# For Linux and macOS. Needs python3 >= 3.11 and make; all else goes into .venv.

PYTHON ?= python3
DEMO_TIME ?= 87s

VENV := .venv
BIN := $(VENV)/bin
DIGITS := 0 1 2 3 4 5 6 7 8 9

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint bench venv clean

help: ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 14

demo: $(VENV)/with-digits,report ## train on handwritten digits for 87 s, draw ten of each, say how good they are
	$(BIN)/ddpm train digits --out runs/digits --for $(DEMO_TIME)
	$(BIN)/ddpm sample runs/digits -n 100 $(DIGITS:%=--label %) --out runs/digits/samples/demo
	$(BIN)/ddpm evaluate runs/digits -n 500
	@echo "ten of each digit: runs/digits/samples/demo/grid.png; all about the run: runs/digits/report.html"

test: lint ## ruff, mypy and all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/with-test,lint ## ruff and mypy alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/with-bench,digits ## measure, side by side with diffusers
	$(BIN)/python benchmarks/vs_diffusers.py

venv: $(VENV)/with-dev ## all that development needs
	@echo "ready: . $(BIN)/activate"

clean: ## remove all that can be made again; runs/ stays
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A file with-EXTRAS says that these extras are installed as pyproject.toml and constraints.txt now have them.
$(VENV)/with-%: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e ".[$*]"
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11; name another one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
