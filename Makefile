# Every target sets up what it needs: on a fresh Debian machine `make demo` and `make test` work at once.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.locked
DEMO_ADDRESS ?= 127.0.0.1:9588
DEMO_ROOT ?=
#: wiki, build or containerd
DEMO_HOST ?= wiki
DEMO_BUILD_ADDRESS ?= 127.0.0.1:9589
DEMO_PROMETHEUS_ADDRESS ?= 127.0.0.1:9590
DEMO_CONTAINERD_ADDRESS ?= 127.0.0.1:9591
# Parts of docker.io in Debian 12, and packages of their own in Debian 13
DOCKER_CLIENT := docker-cli:/usr/bin/docker docker-buildx:/usr/libexec/docker/cli-plugins/docker-buildx
APT_TEST := prometheus jsonnet strace curl openssl systemd docker.io $(DOCKER_CLIENT) busybox-static chromium lintian debootstrap e2fsprogs btrfs-progs
#: In a virtual environment of its own: what it needs is no business of the lock files.
MUTATION_TOOL := cosmic-ray==8.7.0
APT_BENCHMARK := docker.io $(DOCKER_CLIENT) busybox-static gdu prometheus

.PHONY: help setup demo demo-prometheus test test-unit test-process test-system test-pythons test-newest test-oldest test-debian \
	benchmark fleet soak churn changes dashboards mutants picture lint format lock wheel deb clean apt-test

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(STAMP) ## Make .venv with the locked dependencies and this project

$(STAMP): requirements-dev.lock pyproject.toml
	@scripts/ensure-python $(PYTHON)
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## Build an example data root (DEMO_HOST=wiki, build or containerd) and run the exporter on it until stopped
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/demo "$(DEMO_ADDRESS)" "$(DEMO_ROOT)" "$(DEMO_HOST)"

demo-prometheus: setup apt-test ## Three example roots that change all the time, with a real Prometheus and its alerts
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/demo-prometheus "$(DEMO_ADDRESS)" "$(DEMO_BUILD_ADDRESS)" \
		"$(DEMO_CONTAINERD_ADDRESS)" "$(DEMO_PROMETHEUS_ADDRESS)"

dashboards: setup ## Generate grafana/*.json and prometheus/rules.*
	$(BIN)/python -m grafana
	$(BIN)/docker-storage-exporter rules > prometheus/rules.yml
	$(BIN)/docker-storage-exporter rules --format json > prometheus/rules.json

apt-test:
	@scripts/ensure-apt $(APT_TEST)
	@[ "$$(id -u)" -ne 0 ] || scripts/debian-root >/dev/null || echo "no Debian root: tests that need one are skipped" >&2
	@[ "$$(id -u)" -ne 0 ] || scripts/engine-root >/dev/null || echo "no root with today's Docker: tests that need one are skipped" >&2
	@[ "$$(id -u)" -ne 0 ] || scripts/prometheus-root >/dev/null || echo "no root with today's Prometheus: tests that need one are skipped" >&2

# Tests that share something expensive are of one group, and so run in one of the processes.
# One process more than there are cores: many tests wait for the exporter most of the time.
JOBS ?= $(shell expr $$(nproc) + 1)
PYTEST := $(BIN)/pytest -n $(JOBS) --dist loadgroup -m "not machine"
ALONE := $(BIN)/pytest -m machine

test: setup apt-test ## Set up what the tests need, apt packages included, and run all three suites
	$(PYTEST)
	$(ALONE) tests/process

test-unit: setup ## Run the tests that need nothing but files: under a minute
	$(PYTEST) tests/unit

test-process: setup apt-test ## Run the tests of the exporter as processes
	$(PYTEST) tests/process
	$(ALONE) tests/process

test-system: setup apt-test ## Run the tests with Docker engines, Prometheus, Chromium, systemd and the Debian package
	$(PYTEST) tests/system

test-pythons: apt-test ## Run the unit and process suites with each Python from 3.11 on that this machine has
	@scripts/pythons | while read -r version python; do \
		echo "== Python $$version ($$python)"; \
		$(MAKE) --no-print-directory test-unit test-process PYTHON=$$python VENV=.venv-$$version </dev/null || exit; \
	done

test-newest: ## Run the unit suite with the newest Python that this machine has
	@read -r version python < <(scripts/pythons --newest) && \
		$(MAKE) --no-print-directory test-unit PYTHON=$$python VENV=.venv-$$version

test-oldest: .venv-oldest/.oldest ## Run the unit suite with the oldest dependencies that pyproject.toml allows
	$(MAKE) --no-print-directory test-unit VENV=.venv-oldest

.venv-oldest/.oldest: requirements-dev.lock pyproject.toml scripts/oldest
	@$(MAKE) --no-print-directory setup VENV=.venv-oldest
	@.venv-oldest/bin/pip install --quiet --disable-pip-version-check $$(.venv-oldest/bin/python scripts/oldest)
	@.venv-oldest/bin/pip check
	@touch $@

SUITE ?= trixie
test-debian: ## Run make demo and make test on a bare Debian SUITE (trixie, bookworm), in a root of its own
	@scripts/test-debian $(SUITE)

benchmark: setup ## Measure what the exporter costs, and compare with du, gdu and a real engine
	@scripts/ensure-apt $(APT_BENCHMARK)
	$(BIN)/python -m benchmarks

fleet: setup ## Measure what rules and dashboards cost a Prometheus with 500 hosts (four minutes, 3 GB in TMPDIR)
	@scripts/ensure-apt prometheus
	$(BIN)/python -m benchmarks.fleet

soak: setup ## Run a real engine for ten minutes with each driver while Prometheus scrapes, and compare at the end
	@scripts/ensure-apt $(APT_BENCHMARK)
	$(BIN)/python -m benchmarks.soak --driver overlay2
	$(BIN)/python -m benchmarks.soak --driver vfs

churn: setup ## Kill, stop and starve the processes of an exporter for five minutes while it is scraped, and compare at the end
	$(BIN)/python -m benchmarks.churn

changes: setup ## Change a root of each layout 10,000 times at random, and compare with a fresh process all the way (an hour)
	$(BIN)/python -m benchmarks.changes

mutants: setup ## Change what works figures out, and print the changes that no test notices (hours; PARTS="bolt reclaim")
	@[ -x .venv-mutants/bin/cosmic-ray ] || { $(PYTHON) -m venv --clear .venv-mutants && \
		.venv-mutants/bin/pip install --quiet --disable-pip-version-check $(MUTATION_TOOL); }
	@.venv-mutants/bin/python scripts/mutants "$(CURDIR)/$(BIN)/python" $(PARTS)

picture: setup ## Draw docs/images/dashboard*.png from a running make demo-prometheus (needs npm)
	@scripts/ensure-apt chromium $(if $(shell command -v npm),,npm)
	cd grafana/preview && npm ci --no-audit --no-fund --ignore-scripts --legacy-peer-deps
	$(BIN)/python -m grafana.preview http://$(DEMO_PROMETHEUS_ADDRESS) build

lint: setup ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

COMPILE := $(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras --no-header \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links
lock: setup ## Bring the lock files up to date
	$(COMPILE) -o requirements.lock pyproject.toml
	$(COMPILE) --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml

wheel: setup ## Build the wheel into dist/
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation -w dist .

deb: setup ## Build the Debian package into dist/
	@scripts/make-deb $(BIN)/pip

clean: ## Remove what the targets made
	rm -rf $(VENV) .venv-* dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
