# For Linux and macOS. Needs python3 >= 3.11 and make; everything else goes into .venv.

PYTHON ?= python3
DEMO_TIME ?= 87s
FILES ?= 2500
SEED ?= 0

VENV := .venv
BIN := $(VENV)/bin
DIGITS := 0 1 2 3 4 5 6 7 8 9

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test fuzz lint bench venv clean

help: ## list these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 14

demo: $(VENV)/with-digits,report ## train on handwritten digits for 87 s, sample ten of each and evaluate them
	$(BIN)/ddpm train digits --out runs/digits --for $(DEMO_TIME)
	$(BIN)/ddpm sample runs/digits -n 100 $(DIGITS:%=--label %) --out runs/digits/samples/demo
	$(BIN)/ddpm evaluate runs/digits -n 500
	@echo "samples: runs/digits/samples/demo/grid.png; report: runs/digits/report.html"

test: $(VENV)/with-test,lint ## run ruff, mypy and all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(BIN)/mypy & types=$$!; \
		OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist worksteal; tests=$$?; \
		wait $$types || { echo 'mypy found errors: see above'; exit 1; }; exit $$tests

fuzz: $(VENV)/with-test ## read 2,500 files with seeded damage, 60 of which make test reads
	DDPM_FUZZ=$(FILES) OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/fuzz -s --hypothesis-seed=$(SEED)

lint: $(VENV)/with-test,lint ## run ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/with-bench,digits ## benchmark against diffusers
	$(BIN)/python benchmarks/vs_diffusers.py

venv: $(VENV)/with-dev ## install everything for development
	@echo "ready: . $(BIN)/activate"

clean: ## remove everything that can be rebuilt; keep runs/
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A file with-EXTRAS marks these extras as installed from the current pyproject.toml and constraints.txt.
$(VENV)/with-%: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e ".[$*]"
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11; use another: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
