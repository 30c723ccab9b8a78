# Everything is installed in .venv. `make test` as root also installs the Debian packages of the lab: see tests/packages.

ifndef PYTHON
PYTHON := $(shell for name in python3.13 python3.12 python3.11 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
endif
VENV ?= .venv
RUN := $(VENV)/bin/python -m
PYTEST := $(RUN) pytest

.PHONY: test test-more lint demo soak bench packages
.DEFAULT_GOAL := test

# Tests that measure milliseconds run alone, after the others. A failure in one part does not hide the next.
test: packages $(VENV)/.test lint
	@failed=; \
	$(PYTEST) -q -m "not lab" -n 2 || failed=yes; \
	$(PYTEST) -q -m "lab and not timing and not vm and not more" -n 5 || failed=yes; \
	$(PYTEST) -q -m "lab and timing and not more" || failed=yes; \
	test -z "$$failed"

# What needs ip_vs, in guests that the tests boot; and what loads the machine by itself: thousands of routers, storms,
# deaths at random moments.
test-more: packages $(VENV)/.test
	@failed=; \
	$(PYTEST) -q -m vm --durations 10 tests/vm || failed=yes; \
	$(PYTEST) -v -m more --durations 10 tests/lab || failed=yes; \
	test -z "$$failed"

lint: $(VENV)/.test
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy

demo: $(VENV)/.run
	@$(RUN) kad.tools.demo

soak: packages $(VENV)/.test
	$(PYTEST) -v -m soak --timeout 1800 tests/soak tests/vm

bench: packages $(VENV)/.test
	$(RUN) tests.bench

packages:
	@PYTHON=$(PYTHON) tests/packages

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "kad needs Python 3.11 or newer, and none was found." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "Install python3-venv first." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python pyproject.toml setup.cfg
	$(RUN) pip install --quiet --disable-pip-version-check --editable '.[watch]'
	@touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml setup.cfg
	$(RUN) pip install --quiet --disable-pip-version-check --editable '.[watch,test]' 'pytest-xdist>=3.5'
	@touch $@
