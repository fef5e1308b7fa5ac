# Each target makes .venv on first use. PYTHON chooses the interpreter: make test PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Of Debian, where it is missing and may be installed; else the tests say what is missing.
PROGRAMS = ip
PACKAGES = postgresql iproute2
CLUSTER_NEEDS = @if ! { which $(PROGRAMS) && { ls /usr/lib/postgresql/*/bin/initdb || command -v initdb; }; } >/dev/null 2>&1 \
	&& [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	apt-get update && apt-get install -y --no-install-recommends $(PACKAGES); fi

.PHONY: demo test docs cluster docker chaos lint bench clean

demo: $(READY)  ## the main job end to end, offline: data, teacher, sweep, quantized pickers
	$(BIN)/seisweep demo

test: $(READY)  ## the test suite, without network
	$(BIN)/python -m pytest -rs -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart=0

docs: $(READY)  ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet  # a warning, such as a dead link, is an error

cluster: $(READY)  ## sweeps on a cluster of five machines, made on this one: power cuts, cables, servers that stop; root
	$(CLUSTER_NEEDS)
	SEISWEEP_REQUIRE_CLUSTER=1 $(BIN)/python -m pytest -rs -m "not docker_long" tests/cluster

docker: PROGRAMS += slurmctld
docker: PACKAGES += slurm-wlm
docker: $(READY)  ## what docker/ holds, on such machines: the image, the services of compose, a job of SLURM; root
	$(CLUSTER_NEEDS)
	SEISWEEP_REQUIRE_CLUSTER=1 $(BIN)/python -m pytest -rs -s -m docker_long tests/cluster

chaos: $(READY)  ## kill every part of running sweeps at random moments, resume, compare; takes an hour or two
	$(BIN)/python tests/chaos/kill_matrix.py

lint: $(READY)  ## style, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## data plane and training step against SeisBench's own way; the engine against Tune's and Optuna's
	$(BIN)/python benchmarks/data_plane.py
	$(BIN)/python benchmarks/window_store.py
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/sweep_overhead.py
	$(BIN)/python benchmarks/query.py

clean:
	rm -rf $(VENV)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -I platform/seisweep/supported.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(READY)
