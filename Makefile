# Everything a person or a machine runs here. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help setup programs up test lint types format bench soak years fuzz explore conform screenshots pages audit lock clean
.SUFFIXES:

PYTHON ?= python3
BIN := .venv/bin
CODE := src tests bench soak scripts
UV ?= uv
TEST_PROCESSES ?= 3
FUZZ_SECONDS ?= 300
CASES ?= 2000
PICTURES ?= build/screenshots
PAGE_PLAYERS ?= 1000000
PAGE_EVENTS ?= 10000000
YEAR_EVENTS ?= 2000000

help: ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)$$/  make \1	\2/' | expand -t 16

setup: ## Create or repair .venv with the locked packages
	@$(PYTHON) scripts/setup.py

programs: setup ## Fetch what tests run beside the product (into .tools, unless the system has it)
	@$(BIN)/python scripts/programs.py nginx pgbouncer chromium

# A terminal's Ctrl-C reaches make and the tree alike, and make passes SIGTERM on; a make that is killed says nothing,
# so the tree is asked to watch for the end of its parent.
up: setup ## Start everything; flags go into ARGS="--port 9000"
	@GRANDSTAND_STOP_WITH_PARENT=1 exec $(BIN)/grandstand up $(ARGS)

# Many tests wait for processes more than they compute: three at a time keep two cores busy. Each has engines of its own; a
# file stays together, for its tests share a tree.
test: lint types programs ## Run every check and every test; pytest's flags go into ARGS
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup ## Check style, format and the layers
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/lint-imports

types: setup ## Check the types
	@$(BIN)/mypy

format: setup ## Format the code and mend what can be mended
	@$(BIN)/ruff check --fix-only $(CODE)
	@$(BIN)/ruff format $(CODE)

bench: setup ## Measure the whole path and each stage beside its ceiling
	@$(BIN)/python -m bench $(ARGS)

soak: setup ## Strike a running tree with faults under load and audit it; flags go into ARGS="--runs 200"
	@$(BIN)/python -m soak $(ARGS)

screenshots: programs ## Take a picture of every page of the console into PICTURES (build/screenshots)
	@$(BIN)/python scripts/screenshots.py $(PICTURES)

pages: setup ## Time every page of the console at PAGE_EVENTS events of PAGE_PLAYERS players, and what 50 viewers cost ingest
	@$(BIN)/python scripts/page_times.py --players $(PAGE_PLAYERS) --events $(PAGE_EVENTS)

audit: setup ## Look for known holes in the locked packages (needs uv and the network) and for unsafe code
	@$(BIN)/ruff check --select S --ignore S603,S607 src
	@$(UV) tool run pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock

years: setup ## Archive a year of YEAR_EVENTS events and replay a board from both halves
	@YEAR_EVENTS=$(YEAR_EVENTS) $(BIN)/python -m pytest -s --timeout 7200 -k year tests/archive/test_time_travel.py $(ARGS)

explore: programs ## Run the tests with examples that no run has had before; flags go into ARGS="tests/unit"
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --hypothesis-profile explore $(ARGS)

fuzz: setup ## Fuzz decoders and cursors, FUZZ_SECONDS each; uses atheris where it is installed (extra `fuzz`)
	@for target in events lines cursors encodings signatures; do \
		$(BIN)/python -m tests.fuzz $$target $(FUZZ_SECONDS) || exit 1; \
	done

conform: setup ## Send each route CASES made-up requests and hold the answers beside the document
	@SCHEMA_EXAMPLES=$(CASES) $(BIN)/python -m pytest tests/api/test_document_fuzzed.py $(ARGS)

lock: ## Pin the newest allowed packages in requirements.lock (needs uv)
	@$(UV) pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 \
		--extra embedded --extra archive --extra traces --extra dev --extra build pyproject.toml --output-file requirements.lock

clean: ## Remove .venv and caches; data folders stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
