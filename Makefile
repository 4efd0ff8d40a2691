# Two commands: `make quickstart` and `make test`. Each makes what it needs first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= runs/quickstart
WORKERS ?= 2

.PHONY: setup quickstart test test-diffusers lint clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --constraint constraints.txt --editable ".[dev]"
	touch $@

quickstart: setup
	$(BIN)/inpaint-zoo benchmark benchmarks/quickstart.yaml --out $(OUT) --allow-missing

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# compiled modules are kept, because many tests start processes
test: lint
	env --unset=PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

# Last, because torchmetrics imports transformers if it is there, which makes every other test process slower.
test-diffusers: setup
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[diffusers]"
	$(BIN)/python -m pytest tests/benchmark/test_diffusers.py

clean:
	rm -rf $(VENV) runs build dist *.egg-info
