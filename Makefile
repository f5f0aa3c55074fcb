# What a newcomer, a developer and CI call. Needs Python 3.10 or newer; uv is used where it is there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What was installed last; it is installed again when setup.py is newer.
RUN_READY := $(VENV)/.ready-to-run
TEST_READY := $(VENV)/.ready-to-test
UV := $(shell command -v uv 2>/dev/null)
ifdef UV
INSTALL = $(UV) pip install --quiet --python $(BIN)/python
else
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

# The binding of libvirt is built where libvirt's files are (`make services`).
EXTRAS := test$(shell pkg-config --exists libvirt 2>/dev/null && echo ,libvirt)

.DEFAULT_GOAL := help
.PHONY: help run test test-flink lint format bench bench-flink soak services flink clean

help:  ## print what there is to call
	@sed -n 's/^\([a-z-]*\):.*## /  make \1: /p' $(firstword $(MAKEFILE_LIST))

run: $(RUN_READY)  ## install, then start everything here with a demo feed; Ctrl-C ends it
	@exec $(BIN)/streamgauge run --config etc/demo.yaml

test: $(TEST_READY)  ## install, then run every test (ARGS='-k name' for some)
	@$(BIN)/pytest $(ARGS)

lint: $(TEST_READY)  ## ruff and mypy
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy

format: $(TEST_READY)  ## let ruff mend and format the code
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

bench: $(TEST_READY)  ## measure, into benchmarks/results.json (ONLY=name for one)
	@$(BIN)/python -m benchmarks $(ONLY)

bench-flink: $(TEST_READY)  ## measure the job on a Flink on this machine, into benchmarks/results.json
	@scripts/flink
	@$(BIN)/python -m benchmarks flink_samples_per_s_p1 flink_samples_per_s_p2 \
		flink_samples_per_s_p4 flink_breach_to_webhook_p50_ms flink_start_max_s

test-flink: $(TEST_READY)  ## run the job on a Flink on this machine, kill it, compare its tables
	@scripts/flink reporter
	@$(BIN)/pytest -s tests/on_flink.py tests/on_flink_metrics.py tests/test_flink.py -k "not resumed"

soak: $(TEST_READY)  ## kill the process 200 times for each source, compare with what was sent
	@STREAMGAUGE_SOAK_KILLS=200 $(BIN)/pytest -s tests/test_kill.py -k kills

services:  ## install and start the servers that tests use (Debian)
	@scripts/services

flink: $(TEST_READY)  ## install and start a Flink on loopback; scripts/flink stop ends it
	@scripts/flink start

clean:  ## remove what was installed and made, not the data
	rm -rf $(VENV) .services build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12 ...")'
	@echo "making $(VENV) ..."
ifdef UV
	@$(UV) venv --quiet --python $(PYTHON) $(VENV)
else
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "the venv module is missing: apt-get install python3-venv" >&2; exit 1; }
endif

$(RUN_READY): setup.py | $(BIN)/python
	@echo "installing Streamgauge, a minute or two the first time ..."
	@$(INSTALL) -e .
	@touch $@

$(TEST_READY): setup.py | $(RUN_READY)
	@echo "installing what the tests need ..."
	@$(INSTALL) -e '.[$(EXTRAS)]'
	@touch $@ $(RUN_READY)
