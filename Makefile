# The front door. `make` alone says what there is.
.DEFAULT_GOAL := help
.PHONY: help demo test check lint world mistakes matrix torture bench tools clean

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
OPTIONS ?=

# pip, told in one line that is written anew where somebody looks on, and silent elsewhere.
define install
@if [ -t 1 ]; then \
	rm -f $@.done; \
	{ $(PIP) install --progress-bar off $(1) && touch $@.done; } | \
		while read -r line; do printf '\r\033[K  %.70s' "$$line"; done; \
	printf '\r\033[K'; rm $@.done 2>/dev/null; \
else $(PIP) install --quiet $(1); fi
endef

help: ## Say what can be made
	@echo "make TARGET [OPTIONS='…']"; echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(VENV)/.ready ## The whole thing on this machine, with the proof at the end (OPTIONS='--seconds 60 --keep')
	@$(BIN)/tailrace demo $(OPTIONS)

test: lint ## Everything that gates a change: lint, types, all tests (OPTIONS='-k shipper')
	@$(BIN)/pytest -q --durations=5 $(OPTIONS)

check: lint ## The quick part: lint, types, core and world tests, no servers
	@$(BIN)/pytest -q -m "not edge and not crash" $(OPTIONS)

lint: $(VENV)/.ready-dev
	@$(BIN)/ruff check --quiet && echo "ruff check: clean"
	@$(BIN)/ruff format --quiet --check && echo "ruff format: clean"
	@$(BIN)/mypy

world: $(VENV)/.ready-dev ## Search for lost and repeated lines in the models, for long
	@TAILRACE_WORLD_EXAMPLES=2000 $(BIN)/pytest -q -m world --timeout 3600 $(OPTIONS)

mistakes: $(VENV)/.ready-dev ## Put mistakes into a copy of the code, one at a time, and see each found by a world
	@$(BIN)/python tests/mistakes.py $(OPTIONS)

matrix: $(VENV)/.ready-dev ## Each two of what may go wrong at the same time, and three brokers that die in turn: many minutes
	@TAILRACE_LONG=1 $(BIN)/pytest -q tests/test_crash_pairs.py tests/test_crash_brokers.py $(OPTIONS)

torture: $(VENV)/.ready ## Kill the agent for two minutes while logrotate takes its files away; count every line
	@$(BIN)/tailrace torture $(OPTIONS)

bench: $(VENV)/.ready ## Speed, processor time, memory and latency on this machine
	@$(BIN)/tailrace bench $(OPTIONS)

clean: ## Remove .venv and the caches of the tools (the stack's data are in .tailrace)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

# What a bare machine lacks: installed where we may (root on Debian), else named in one line.
tools:
	@lacks=""; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || lacks="$$lacks python3-venv"; \
	{ command -v javac || command -v "$$JAVA_HOME/bin/javac"; } >/dev/null || lacks="$$lacks openjdk-17-jdk-headless"; \
	command -v mvn >/dev/null || lacks="$$lacks maven"; \
	PATH="$$PATH:/usr/sbin" command -v logrotate >/dev/null || lacks="$$lacks logrotate"; \
	compiler=""; \
	command -v $${CC:-gcc} >/dev/null || compiler="$$compiler gcc"; \
	$(PYTHON) -c 'import os, sysconfig, sys; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || \
		compiler="$$compiler python3-dev"; \
	if [ -n "$$compiler" ]; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then lacks="$$lacks$$compiler"; \
		else echo "Without$$compiler the shipper will do without its compiled code, and be slower" >&2; fi; \
	fi; \
	[ -n "$$lacks" ] || exit 0; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "Install these first (names of Debian; apt-get install …):$$lacks" >&2; exit 1; \
	fi; \
	echo "Installing$$lacks: a few minutes, once" >&2; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $$lacks >/dev/null

$(VENV)/.pip: | tools
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "tailrace wants Python 3.11 or newer: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "Making $(VENV): some seconds, once" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.ready: pyproject.toml constraints.txt hatch_build.py $(wildcard shipper/c/* indexer/c/*) $(VENV)/.pip
	@echo "Installing tailrace and what it needs into $(VENV): a minute or two, once" >&2
	$(call install,-c constraints.txt -e .)
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@echo "Installing the tools for development into $(VENV): about a minute, once" >&2
	$(call install,-c constraints.txt --group dev)
	@touch $@
