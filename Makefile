# Two commands need only Python >= 3.11 and make:
#   make run     set everything up and start Hauspost (the first time with a sample household;
#                with your own mail instead: make run DATA=my-mail SAMPLE=no)
#   make test    set everything up and run the tests
# The others: check (format, lint, types, floors), accept (real mail programs; installs
# them with apt where it may), bench (figures), screens (pictures of the pages).

PYTHON ?= python3
DATA ?= data
SAMPLE ?= yes
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test check accept bench screens format clean

run: $(VENV)/.installed
	@test -e $(DATA)/household.sqlite3 || test "$(SAMPLE)" = no || $(BIN)/hauspost demo --data $(DATA)
	@exec $(BIN)/hauspost run --data $(DATA)

test: $(VENV)/.dev
	$(BIN)/pytest -q -m "not peers"

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_floors.py
	@if command -v shellcheck >/dev/null; then shellcheck deploy/*.sh .ci/run; \
	else echo "shellcheck is not installed: the shell scripts were not checked (apt install shellcheck)"; fi

accept: $(VENV)/.dev
	deploy/peers.sh
	$(BIN)/pytest -q -m peers tests/accept

bench: $(VENV)/.dev
	$(BIN)/python -m bench

screens: $(VENV)/.dev
	$(BIN)/python -m tests.accept.screens docs/screens

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Hauspost needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "Python cannot make virtual environments here. On Debian: sudo apt install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[pdf]"
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[pdf,dev]"
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build *.egg-info
