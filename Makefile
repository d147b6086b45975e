# Each target does its own set-up; the second time that takes well under a second.
.DEFAULT_GOAL := help
.PHONY: help demo cluster movies test check bench conformance simulate fuzz soak clean

BIN := .venv/bin
export PYTHON

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo:  ## two replicas and a server tell their story in the terminal; INPUT=file.csv takes your own data
	@tools/prepare
	@$(BIN)/python -m examples.demo $(if $(INPUT),--input "$(INPUT)")

cluster:  ## three server nodes on three NATS servers lose machines, and nothing else
	@tools/prepare --dev
	@$(BIN)/python -m examples.cluster

movies:  ## 3,201 films and all that is derived from them, live
	@tools/prepare
	@$(BIN)/python -m examples.movies

test:  ## all tests, the documentation's programs among them; ARGS="-k name" chooses
	@tools/prepare --dev --node --screens
	@$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)

check:  ## style, types, architecture, packaging
	@tools/prepare --dev --bench
	@tools/check

bench:  ## figures beside TinyBase on Node, one table; ARGS="store" chooses a section
	@tools/prepare --bench --node
	@$(BIN)/python -m benchmarks $(ARGS)

conformance:  ## N=50000 more random scripts of each family, compared with the real TinyBase
	@tools/prepare --dev --node
	@$(BIN)/python -m tests.conformance $(or $(N),50000) 2000

simulate:  ## SEEDS=first-last: more histories of the sync simulation, of sessions and of clusters
	@tools/prepare --dev
	@$(BIN)/python -m tests.simulation $(or $(SEEDS),0-999)

fuzz:  ## TARGET=session SECONDS=60: what strangers may send, guided by coverage
	@tools/prepare --dev --fuzz
	@$(BIN)/python -m tests.fuzz $(or $(TARGET),session) $(or $(SECONDS),60)

soak:  ## HOURS=8 of faults, kills and others' writes over every medium; SEEDS=first-last instead
	@tools/prepare --dev
	@$(BIN)/python -m tests.persisters.faults $(if $(SEEDS),--seeds $(SEEDS),--hours $(or $(HOURS),1)) $(ARGS)

clean:  ## remove what was made here (the cached extension stays)
	rm -rf .venv build dist benchmarks/node/node_modules src/replicell.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz
