# The commands of development. `make test-all` is what CI runs; `make check` is the quick round before a commit.
VENV ?= .venv
PYTHON = $(VENV)/bin/python

.PHONY: setup requirements lint check test test-all test-security machine fuzz golden bench bench-docs docs clean

setup: ## make the virtual environment with the development tools
	@scripts/bootstrap.sh $(abspath $(VENV)) requirements-development.lock

PIP_COMPILE = $(VENV).tools/bin/pip-compile --quiet --generate-hashes --strip-extras --no-header --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

requirements: ## pin what pyproject.toml asks for, by hash; run it with the oldest Python that is supported
	python3 -m venv $(VENV).tools
	$(VENV).tools/bin/python -m pip install --quiet pip-tools
	$(PIP_COMPILE) $(UPGRADE) --output-file requirements.lock pyproject.toml
	$(PIP_COMPILE) $(UPGRADE) --extra development --constraint requirements.lock \
		--output-file requirements-development.lock pyproject.toml

lint: setup ## style, types, floors
	$(VENV)/bin/ruff format --check src tests
	$(VENV)/bin/ruff check src tests
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy --python-version 3.10 src/obstack/agent # the oldest Python that the agent runs on
	$(VENV)/bin/lint-imports --no-cache

check: lint test ## everything cheap, under two minutes

test: setup ## tests that need neither root nor a booted machine
	$(PYTHON) -m pytest -q tests/unit tests/golden tests/property

machine: setup ## tests on booted machines; as root
	$(PYTHON) -m pytest -q -m machine tests

test-all: lint ## everything, as CI runs it: the machines of one file wait while those of another work
	$(PYTHON) -m pytest -n 2 --dist loadfile tests

test-security: setup ## what the threat model rests on, alone; as root
	$(PYTHON) -m pytest -n 2 --dist loadfile -m security tests

fuzz: setup ## throw hostile input at every parser, many times more of it than CI does: make fuzz FUZZ=100
	FUZZ=$(or $(FUZZ),50) $(PYTHON) -m pytest -q -m security tests/property

golden: setup ## write the expected trees of tests/golden anew, to be reviewed
	GOLDEN_UPDATE=1 $(PYTHON) -m pytest -q tests/golden

bench: setup ## measure how quick it is; as root
	@PYTHONPATH=src:tests $(PYTHON) -m bench

bench-docs: setup ## measure, and write the figures into docs/explanation/performance.md
	@PYTHONPATH=src:tests $(PYTHON) -m bench --page

docs: setup ## write the generated reference anew
	$(PYTHON) -m obstack.cli.reference docs/reference

clean:
	rm -rf .venv .venv.* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
