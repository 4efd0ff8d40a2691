# Two commands: `make quickstart` and `make test`. Each makes what it needs first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= runs/quickstart
WORKERS ?= 2

.PHONY: setup quickstart test test-diffusers test-demo notebooks docs fuzz coverage test-uncounted wheel lint clean

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

# Property tests with new examples, ROUNDS times: what `.ci/run` leaves to chance.
ROUNDS ?= 5
fuzz: setup
	for seed in $$(shuf --input-range 1-1000000 --head-count $(ROUNDS)); do \
		$(BIN)/python -m pytest --quiet --numprocesses $(WORKERS) --dist worksteal --hypothesis-seed $$seed \
			$$(grep --files-with-matches --recursive --include "*.py" "@given" tests) || exit 1; \
	done

# Last, because torchmetrics imports transformers if it is there, which makes every other test process slower.
test-diffusers: setup
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[diffusers]"
	$(BIN)/python -m pytest tests/benchmark/test_diffusers.py

# In a folder of its own, because Gradio needs a Pillow below 13, and the other tests run with the pinned one.
test-demo: setup
	grep --invert-match "^pillow==" constraints.txt > $(VENV)/demo-constraints.txt
	$(BIN)/python -m pip install --quiet --constraint $(VENV)/demo-constraints.txt --target $(VENV)/demo --upgrade "gradio>=6"
	PYTHONPATH=$(VENV)/demo $(BIN)/python -m pytest tests/demo

# After the other tests, because torchmetrics imports matplotlib if it is there.
notebooks: setup
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[notebooks]"
	$(BIN)/python -m pytest tests/test_notebooks.py

# The warning that is disabled is an advertisement for another program. The built pages load nothing from other hosts.
docs: setup
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	$(BIN)/python .ci/site.py build/site

# The tests of `make test` in two parts, each test once: `.ci/run` makes both. Counting lines costs about a tenth of CPU time,
# so only the fast tests of the packages with a goal are counted. Python 3.12 and later can count in the interpreter.
COVERED := data masks metrics weights training benchmark
FOLDERS := $(addprefix tests/,$(COVERED))
coverage: setup
	$(BIN)/python -m coverage erase
	COVERAGE_CORE=$$($(BIN)/python -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")') \
		env --unset=PYTHONDONTWRITEBYTECODE $(BIN)/python -m coverage run -m pytest -m "not slow" \
		--numprocesses $(WORKERS) --dist worksteal $(FOLDERS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage json --quiet -o coverage.json
	$(BIN)/python .ci/coverage_by_package.py coverage.json

test-uncounted: setup
	env --unset=PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal -m slow $(FOLDERS)
	env --unset=PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal \
		$(addprefix --ignore=,$(FOLDERS))

# Builds the wheel and tries it outside of the repository, where nothing but the wheel has its configurations and suites.
wheel: setup
	rm -rf build dist runs/wheel
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(BIN)/python -m pip install --quiet --no-deps --target runs/wheel/site dist/*.whl
	mkdir runs/wheel/empty
	cd runs/wheel/empty && PYTHONPATH=../site $(abspath $(BIN))/python -m inpaint_zoo benchmark quickstart --out out \
		--allow-missing --only method=telea
	cd runs/wheel/empty && PYTHONPATH=../site $(abspath $(BIN))/python -m inpaint_zoo fit --config isnet/sample --dry-run

clean:
	rm -rf $(VENV) runs build dist *.egg-info
