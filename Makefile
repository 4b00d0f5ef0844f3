# Needs python3 (3.11 or newer) and make, nothing else; uv is used where it is installed.
#   make train    the environment, the data, a trained and tested CNN     (ARGS="--epochs 1" adds flags)
#   make test     the environment for the tests, and the tests            (ARGS="-k conv" adds flags)
#   make check    ruff and mypy --strict
#   make docs     the documentation, in docs/_build
#   make torture  kills, fuzzing and mutants: an hour or two; docs/reliability.md has what came of it
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: help train test check docs torture format environment develop pins clean

help:
	@sed -n 's/^#   //p' Makefile

# `train` runs in whichever environment is there: the one for development holds all that it needs.
environment:
	@$(PYTHON) tools/environment.py requirements/run.txt requirements/develop.txt requirements/torture.txt

develop:
	@$(PYTHON) tools/environment.py requirements/develop.txt requirements/torture.txt

train: environment
	@$(BIN)/numnist train $(ARGS)

# Two workers with one BLAS thread each: small products gain nothing from two, and wait for each other.
# Four packages are held to a bound on coverage by their own tests; to trace the others would take a fifth longer.
COVERED := ops nn optim data
test: export OPENBLAS_NUM_THREADS = 1
test: develop
ifeq ($(strip $(ARGS)),)
	@$(BIN)/python -m pytest -n 2 $(COVERED:%=tests/%) --cov --cov-report=
	@$(BIN)/coverage report --skip-covered --fail-under=95
	@$(BIN)/python -m pytest -n 2 $(COVERED:%=--ignore=tests/%)
else
	@$(BIN)/python -m pytest $(ARGS)
endif

check: develop
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: develop
	@$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build
	@echo "wrote docs/_build/index.html"

torture:
	@$(PYTHON) tools/environment.py requirements/torture.txt
	@$(BIN)/python tools/torture_kills.py --kills 200
	@$(BIN)/python tools/torture_fuzz.py --runs 1000000
	@$(BIN)/python tools/torture_mutants.py
	@$(BIN)/python tools/tables.py

format: develop
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# The pins carry versions and hashes and no addresses, so they serve any index and any mirror.
PIN := uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --python-version 3.11 pyproject.toml --extra view
pins:
	$(PIN) --group build -o requirements/run.txt
	$(PIN) --extra tensorboard --extra mpi --extra study --extra postgresql --extra onnx --extra sklearn --group build --group test --group check --group docs -c requirements/run.txt -o requirements/develop.txt
	$(PIN) --extra tensorboard --extra mpi --extra study --extra postgresql --extra onnx --extra sklearn --group build --group test --group check --group docs --group torture -c requirements/develop.txt -o requirements/torture.txt

clean:
	rm -rf .venv build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
