# make demo    pictures from prompts, with no key, server or database to install
# make serve   the site on http://127.0.0.1:8000, with a login for the admin
# make rehearse  a live site against local vendor servers: failover, 429, budgets, a killed worker; pays nobody
# make test    the whole test suite
# make help    everything else
#
# Needs python3 (3.11 or newer) and make. Another Python: make PYTHON=python3.13 test

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
PYTEST_ARGS ?= -n auto --maxprocesses 4 --maxschedchunk 16

# Tools are started as modules: they then need no script whose first line knows where this folder is.
RUN := $(VENV)/bin/python

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
# Another project's settings must not leak in.
unexport DJANGO_SETTINGS_MODULE
unexport PYTHONPATH
# Not to compile everything again in each process that a test starts.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo serve rehearse test test-all lint format types messages docs ci lock clean env-base env-test env-dev env-docs
.NOTPARALLEL: # one environment, one database

help:
	@echo "make demo     pictures from prompts, without any key"
	@echo "make serve    the site on http://127.0.0.1:$(PORT) with a login for the admin (PORT=...)"
	@echo "make rehearse a live site against vendor servers on this machine, led through what goes wrong; pays nobody"
	@echo "              (STAY=1: then in the browser, on PORT)"
	@echo "make test     the test suite (PYTEST_ARGS=..., DATABASE_URL=postgresql://... for PostgreSQL)"
	@echo "make test-all the test suite with whole products of cases; takes minutes longer"
	@echo "make lint     ruff and the import contracts"
	@echo "make format   ruff writes what it can"
	@echo "make types    mypy, strict"
	@echo "make messages the catalogues of translations from the source (needs GNU gettext)"
	@echo "make docs     the documentation as a site that reads offline, in build/docs"
	@echo "make ci       everything that has to pass before a change lands"
	@echo "make lock     requirements/*.txt from pyproject.toml (UPGRADE=1: the newest versions)"
	@echo "make clean    environments, caches and builds; not var/, where your pictures are"

demo: env-base
	@echo "Bringing the database up to date ..."
	@$(RUN) manage.py migrate --verbosity 0
	@$(RUN) -m config.demo pictures

serve: env-base
	@echo "Bringing the database up to date ..."
	@$(RUN) manage.py migrate --verbosity 0
	@$(RUN) -m config.demo login
	@echo "The studio is at http://127.0.0.1:$(PORT)/studio/, the admin at http://127.0.0.1:$(PORT)/admin/   (Ctrl-C stops the server)"
	@DJANGO_SETTINGS_MODULE=config.settings.dev exec $(RUN) -m uvicorn config.asgi:application \
		--host 127.0.0.1 --port $(PORT) --lifespan off --log-level warning

rehearse: env-base
	@$(RUN) -m tests.servers.rehearse --port $(PORT) $(if $(STAY),--stay)

test: env-test
	@echo "Running the tests (some minutes for all of them; a part: make test PYTEST_ARGS=tests/test_chain.py) ..."
	@$(RUN) -m pytest $(PYTEST_ARGS)

# Beside the suite, whole products of cases: every fault at every step of every provider, kills at every place, ...
test-all: env-test
	@$(RUN) -m pytest $(PYTEST_ARGS) -m "not live and not browser and not outside and not benchmark and not broker"

lint: env-dev
	@$(RUN) -m ruff check
	@$(RUN) -m ruff format --check
	@PYTHONPATH=. $(RUN) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

format: env-dev
	@$(RUN) -m ruff check --fix
	@$(RUN) -m ruff format

types: env-dev
	@$(RUN) -m mypy

messages: env-dev
	@$(RUN) .ci/messages.py $(LANGUAGES)

docs: env-docs
	@$(RUN) -m docs.site.build

ci:
	@PYTHON="$(PYTHON)" bash .ci/run

lock: env-dev
	@bash .ci/lock.sh $(RUN)

clean:
	rm -rf .venv .venv-* build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov .coverage*
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

env-base env-test env-dev env-docs: env-%:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || \
		{ echo "There is no $(PYTHON) here. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@"$(PYTHON)" .ci/environment.py "$(VENV)" requirements/$*.txt
