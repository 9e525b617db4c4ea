# Two commands do all set-up: `make up` runs the example on both platforms, `make test` the tests.
PYTHON ?= python3
BIN := .venv/bin

# The newest on crates.io; `--locked` keeps the versions of its own crates.
ADAPTER := lambda_web_adapter --version 1.0.0-rc1 --locked
ADAPTER_ROOT := build/lambda-web-adapter

FOREIGN := tests/events/foreign

.PHONY: up test test-newer foreign check fuzz soak bench docs clean lambda-web-adapter aws-lambda-rie

up: .venv ## The math service on Lambda and on ECS, on this machine
	$(BIN)/ambidex up examples/math_service

test: .venv ## The tests
	$(BIN)/pytest

# What runs in the image, under each newer Python that there is; each has an environment in build/.
NEWER := $(foreach minor,12 13 14,$(if $(shell command -v python3.$(minor)),build/python3.$(minor)))
IMAGE_TESTS := tests/asgi tests/events tests/log tests/runtime tests/test_rooms.py

test-newer: $(NEWER) ## The tests of what runs in the image, under newer Pythons
	for each in $(NEWER); do $$each/bin/pytest $(IMAGE_TESTS) || exit; done

build/python3.%: pyproject.toml constraints.txt
	python3.$* -m venv $@
	$@/bin/pip install --quiet --upgrade pip --constraint constraints.txt
	$@/bin/pip install --quiet --constraint constraints.txt --group dev --editable '.[local]'
	touch $@

foreign: .venv .foreign/installed ## The events of SAM CLI and serverless-offline, made anew
	$(BIN)/python -m tests.events.foreign.generate

check: .venv ## Lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

RUNS ?= 100000
fuzz: .venv ## Fuzz events and results, RUNS times
	$(BIN)/pip install --quiet --constraint constraints.txt --group fuzz
	$(BIN)/python -m tests.fuzz -runs=$(RUNS)

N ?= 300000
soak: .venv ## N invocations in one environment: is each answered, and does anything leak?
	$(BIN)/python -m tests.soak -n $(N)

# What cannot be installed is named in the tables; for the Lambda Web Adapter see below.
bench: .venv ## The benchmarks; needs wrk
	-$(BIN)/pip install --quiet --constraint constraints.txt --group bench
	-$(MAKE) --no-print-directory aws-lambda-rie
	$(BIN)/python -m bench

docs: .venv ## The generated reference pages
	$(BIN)/python docs/generate.py

.venv: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip --constraint constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --group dev --editable '.[local]'
	touch .venv

lambda-web-adapter: $(ADAPTER_ROOT)/bin/lambda-adapter ## What one guide's tests run; needs cargo 1.84

$(ADAPTER_ROOT)/bin/lambda-adapter: Makefile
	cargo install --quiet --root $(ADAPTER_ROOT) --target-dir $(ADAPTER_ROOT)/target $(ADAPTER)
	rm -rf $(ADAPTER_ROOT)/target
	touch $@

aws-lambda-rie: build/aws-lambda-rie ## AWS's emulator of Lambda, which some tests run; it is in SAM CLI

# Alone, without what SAM CLI needs; in the version that makes the foreign events.
build/aws-lambda-rie: $(FOREIGN)/requirements.txt | .venv
	rm -rf $@ $@.whole
	$(BIN)/pip install --quiet --no-deps --target $@.whole --constraint $< aws-sam-cli
	mv $@.whole/samcli/local/rapid $@
	chmod +x $@/aws-lambda-rie-*
	rm -rf $@.whole
	touch $@

# The emulators have an environment of their own: their pins are not ours. It brings its own Node.
.foreign/installed: $(FOREIGN)/requirements.txt $(FOREIGN)/serverless_offline/package-lock.json
	$(PYTHON) -m venv .foreign
	.foreign/bin/pip install --quiet --requirement $(FOREIGN)/requirements.txt
	cd $(FOREIGN)/serverless_offline && $(CURDIR)/.foreign/bin/npm ci \
		--ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	touch .foreign/installed

clean: ## What the other targets made
	rm -rf .venv .foreign $(FOREIGN)/serverless_offline/node_modules build dist bench/results .mypy_cache .ruff_cache .pytest_cache .hypothesis
