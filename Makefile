# One word each.
.PHONY: help install test gpu oldest lint types docs notebooks strip audit ci clean

help:
	@echo "make install    this package, editable, with everything to develop it"
	@echo "make test       tests and doctests"
	@echo "make gpu        tests, answers and times on an accelerator (DEVICE=mps), into speed-gpu.md"
	@echo "make oldest     the tests with the oldest supported versions, in a new virtual environment (PYTHON=python3.10)"
	@echo "make lint       ruff and the order of imports"
	@echo "make types      mypy"
	@echo "make docs       the documentation, into docs/_build (NOTEBOOKS=off leaves out the results of notebooks)"
	@echo "make notebooks  run the notebooks, keeping nothing"
	@echo "make strip      take the outputs out of the notebooks"
	@echo "make audit      known vulnerabilities of the installed dependencies"
	@echo "make ci         everything that CI runs, in a new virtual environment"
	@echo "make clean      remove what the others made"

install:
	pip install --editable '.[dev]'

test:
	pytest -n auto

gpu:
	pytest -k "[$(or $(DEVICE),cuda)] or $(or $(DEVICE),cuda)-" tests
	python docs/gpu.py --device $(or $(DEVICE),cuda)

oldest:
	bash .ci/oldest

lint:
	ruff check .
	lint-imports

types:
	mypy

docs:
	sphinx-build --fail-on-warning --quiet -D nb_execution_mode=$(or $(NOTEBOOKS),cache) docs docs/_build

notebooks:
	jupyter execute notebooks/*.ipynb

strip:
	jupyter nbconvert --clear-output --inplace notebooks/*.ipynb

ci:
	bash .ci/run

audit:
	pip install --quiet pip-audit
	pip-audit --skip-editable

clean:
	rm -rf build dist docs/_build docs/notebooks .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
