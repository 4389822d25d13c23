# make demo         the example project at work: worker, beat and site (ONCE=1: end by itself, with a summary)
# make test         the tests, on PostgreSQL and on SQLite
# make test-mariadb what the portable path promises, on MariaDB
# make matrix       the tests on each Python that is here, with the Django that goes with it
# make check        what a change must pass: lint, types, test
# make conformance  Django's own tests of its tasks, downloaded with Django, against djtasks.backend
# make bench        djtasks beside its peers; one of the programs: ARGS=drain, ARGS="workflows --quick"
#
# PYTHON makes the environment VENV; DJANGO picks a version ("Django~=5.2.0"); ARGS goes to pytest, and to the benchmarks.

PYTHON ?= python3
VENV ?= .venv
DJANGO ?= Django
ARGS ?=

BIN = $(VENV)/bin
# What Django 6 brings itself.
TASKS = $(if $(findstring 5.2,$(DJANGO)),django-tasks)
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check "$(DJANGO)" $(TASKS)

# The oldest and the newest that go together, and what is between.
PAIRS = 3.11:5.2 3.12:6.0 3.13:6.1 3.14:6.1
PORTABLE = tests/broker tests/beat tests/test_checks.py tests/test_models.py tests/test_time_zones.py \
	tests/lifecycle/test_lost_workers.py tests/lifecycle/test_stopping.py

.DELETE_ON_ERROR:
.PHONY: demo test test-mariadb matrix lint types check conformance bench venv clean

demo: $(VENV)/example
	@$(BIN)/python example_project/demo.py

test: $(VENV)/test
	@trap 'exit 130' INT; failed=; \
	for database in postgresql sqlite; do \
		echo "== tests on $$database"; \
		$(BIN)/pytest --database=$$database --numprocesses=3 --dist=worksteal $(ARGS) || failed="$$failed $$database"; \
	done; \
	test -z "$$failed" || { echo "== failed on:$$failed"; exit 1; }

test-mariadb: $(VENV)/test $(VENV)/mysql
	@$(BIN)/pytest --database=mariadb --numprocesses=3 --dist=worksteal $(PORTABLE) $(ARGS)

matrix:
	@tested=; failed=; missing=; \
	for pair in $(PAIRS); do \
		version=$${pair%:*}; python=; \
		for candidate in python$$version "$$(pyenv prefix $$version 2>/dev/null)/bin/python"; do \
			if $$candidate -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$$version')" 2>/dev/null; then python=$$candidate; break; fi; \
		done; \
		if test -z "$$python"; then echo "!!!!! no Python $$version here: not tested"; missing="$$missing $$version"; continue; fi; \
		echo "== Python $$version, Django $${pair#*:}"; tested="$$tested $$pair"; \
		$(MAKE) --no-print-directory test PYTHON="$$python" VENV=.venv-$$version DJANGO="Django~=$${pair#*:}.0" || failed="$$failed $$pair"; \
	done; \
	test -z "$$missing" || echo "!!!!! not tested, for want of Python:$$missing"; \
	test -z "$$failed" || { echo "== failed:$$failed"; exit 1; }; \
	test -n "$$tested"

lint: $(VENV)/dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/dev
	@$(BIN)/mypy

check: lint types test

conformance: $(VENV)/test
	@for database in postgresql sqlite; do $(BIN)/python -m tests.conformance $$database || exit 1; done

bench: $(VENV)/bench $(VENV)/peers
	@$(BIN)/python -m benchmarks $(ARGS)

# All of them if they go together here, else those that can be installed; the others are named in each table.
$(VENV)/peers: $(VENV)/bench
	@echo "== installing the peers into $(VENV)"
	@$(INSTALL) --editable ".[peers]" || $(BIN)/python -m benchmarks.install peers
	@touch $@

venv: $(VENV)/dev

# One stamp for each extra: installed again only when what is to be installed has changed.
$(VENV)/example $(VENV)/test $(VENV)/mysql $(VENV)/dev $(VENV)/bench: setup.cfg pyproject.toml | $(VENV)/pyvenv.cfg
	@echo "== installing djtasks[$(@F)] into $(VENV)"
	@$(INSTALL) --editable ".[$(@F)]"
	@touch $@

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit("djtasks needs Python 3.11 or later, and $(PYTHON) is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)

clean:
	rm -rf .venv* build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
