PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export MLFLOW_DISABLE_TELEMETRY ?= true

.PHONY: demo test lint format setup clean torture bench-speed bench-gpu

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "recattn needs Python >= 3.11; set PYTHON=python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/recattn demo

test: setup
	OMP_NUM_THREADS=1 MPLBACKEND=Agg $(BIN)/python -m pytest -n 2 --dist loadfile

torture: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -s -m torture tests/torture

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-speed: setup
	$(BIN)/python -m pipelines.benchmark.speed $(if $(DATA),--data $(DATA),--short) $(if $(PEERS),--peers $(PEERS)) $(ARGS)

bench-gpu: setup
	$(BIN)/python -m pipelines.benchmark.gpu $(if $(DATA),--data $(DATA)) $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info
