PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
RESULTS = hwbench-results
TABLE = $(RESULTS)/this-computer.json

.PHONY: run demo test test-integration test-rest check install install-dev wheel benchmarks clean

# The main job: a verified latency table of this computer, and a report to look at.
run: install
	$(BIN)/hwbench doctor
	$(BIN)/hwbench profile --preset quick --output $(TABLE) --overwrite
	$(BIN)/hwbench table verify $(TABLE) --networks 10
	$(BIN)/hwbench report $(TABLE) --output $(RESULTS)/report.html

# From two known targets of this computer to a trained network on a third. OPTIONS="--data FOLDER" names other images.
demo: $(VENV)/.installed-search
	OMP_NUM_THREADS=1 $(BIN)/python -m examples.chain --folder $(RESULTS)/chain $(OPTIONS)

# Two at a time, each with a folder for temporary files, and so with device locks, of its own.
test: install-dev check
	$(MAKE) -j2 --output-sync=target test-integration test-rest

test-integration:
	TMPDIR=$$(mktemp -d /tmp/a.XXX) $(BIN)/python -m pytest tests/integration

test-rest:
	TMPDIR=$$(mktemp -d /tmp/b.XXX) $(BIN)/python -m pytest tests/phone tests/unit

check: install-dev
	$(BIN)/ruff format --check host device_runtime tests benchmarks examples
	$(BIN)/ruff check host device_runtime tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $$(find device_runtime/cpp/src -name '*.cpp' -o -name '*.h')

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.installed-search: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[search]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: pyproject.toml requirements-dev.sh | $(VENV)/bin/python
	sh requirements-dev.sh
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/.installed $(VENV)/.installed-search

# The wheel carries the native runner of every target; the engines come from their own packages.
wheel: install-dev
	$(BIN)/python -m hwbench.devices.bundle_cores host/hwbench/_bundles
	$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) dist $(RESULTS) .test-cache host/hwbench/_bundles
