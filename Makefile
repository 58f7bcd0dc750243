# Everything runs in a virtual environment of its own, made at the first use. Needs Python 3.11 or newer; the
# tests that compare with Knative's own programs need Go as well.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test unit e2e lint format bench bench-quick mutants clean docs reference

demo: $(READY)  ## a service of this machine from zero to many replicas and back, in about two minutes
	$(BIN)/kpa demo

test: $(READY)  ## all tests, real processes and Knative's own programs included; those that share ports or watch a clock one by one
	$(BIN)/python -m pytest -n 3 --dist loadfile -m 'not (kube or peer or timed or cluster)' --cov --cov-report=
	$(BIN)/python -m pytest -m 'kube or peer or timed' --cov --cov-append --cov-report=term:skip-covered --cov-report=xml

unit: $(READY)  ## all tests that start no process, in a minute and a half
	$(BIN)/python -m pytest -n 2 -m 'not process'

e2e: $(READY)  ## on the cluster that KUBECONFIG names: replaces its autoscaler, and puts it back (E2E: further options)
	$(BIN)/python -m pytest -m cluster tests/e2e/cluster --timeout=900 -s $(E2E)

lint: $(READY)  ## linter, formatter, types, import contracts, figures of the floor plan
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/tools/import_graph.py

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## speed beside Knative's own code and its autoscaler; prints tables, takes half an hour
	$(BIN)/python bench/bench_tick.py
	$(BIN)/python bench/bench_scrape.py
	$(BIN)/python bench/bench_fleet.py

bench-quick: $(READY)  ## the same on a small fleet, in three minutes: shows that it works
	$(BIN)/python bench/bench_fleet.py --quick

mutants: $(READY)  ## 300 small changes of the code at random: how many the unit tests notice, and which not; takes an hour (MUTANTS: options)
	$(BIN)/python -m tests.tools.mutants $(MUTANTS)

docs: $(READY)  ## the documentation as a site in .cache/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

reference: $(READY)  ## generates docs/commands.md from the code
	{ printf '# Commands\n\nGenerated from the code. `kpa COMMAND --help` shows the same in a terminal.\n\n'; \
	  $(BIN)/python -m kpa.commands.reference; } > docs/commands.md

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kpa needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev,fast]'
	touch $@

clean:
	rm -rf $(VENV) .cache .coverage coverage.xml .mypy_cache .ruff_cache .pytest_cache .hypothesis
