# Two commands for a stranger: `make up` and `make test`. Everything else is for those who stay.

TARGET := $(or $(CARGO_TARGET_DIR),target)
WITWD  := $(TARGET)/release/witwd
RUN    := images/bootstrap run

.DEFAULT_GOAL := help
.PHONY: help up down ps test soak fuzz killed planted planted-levels chaos bench check build bootstrap bootstrap-test

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: build ## install what is missing, build, start the demo in the background
	@echo "== starting the stack of stack.toml (the first time images are fetched or made: some minutes, by machine and line)" >&2
	@$(RUN) $(WITWD) up -d --timeout 30m
	@echo
	@echo "  Where in the world?  http://127.0.0.1:8000"
	@echo

down: ## stop the demo; its data stays
	@$(RUN) $(WITWD) down

ps: ## what runs, and why what does not
	@$(RUN) $(WITWD) ps

# It counts what is left of commands that were given up in time, and has the engine to itself.
ALONE := thousands_of_commands_leave_nothing_behind

# Most of what they do is to wait for an engine: more of them than processors at a time.
test: bootstrap-test ## every test, those against the real engine and browser too
	@echo "== cargo test (from nothing some minutes, most of it for the crates; the engine tests make images)" >&2
	RUST_TEST_THREADS=$(or $(RUST_TEST_THREADS),4) $(RUN) cargo test --locked --workspace -- --skip $(ALONE)
	$(RUN) cargo test --locked --workspace --test docker -- $(ALONE)

soak: bootstrap ## simulated runs with new seeds, as long as told: make soak FOR=1h
	WITWD_SOAK=$(or $(FOR),10m) cargo test --locked --test simulation -- --ignored --nocapture new_seeds

planted: ## are the simulated runs able to see? a bug that each must find
	tests/planted/run

killed: bootstrap-test ## a daemon that takes sets is killed KILLS=100 times: nothing of it is left
	WITWD_KILLS=$(or $(KILLS),100) $(RUN) cargo test --locked --workspace --test docker -- after_many_kills

planted-levels: bootstrap-test ## is each level of the proof of sets tested alone? half an hour
	tests/planted/run levels

fuzz: ## mutated files, states and requests; for as long as you say: make fuzz FOR=10m
	WITWD_FUZZ_FOR=$(or $(FOR),1m) cargo test --locked --test it fuzz:: -- --nocapture

bench: bootstrap ## speed beside raw engine calls and docker compose, as ratios (half an hour)
	$(RUN) cargo bench --locked --bench speed

chaos: bootstrap-test ## random faults for FOR=10m, SEED=1; writes the table of docs/reliability.md
	WITWD_CHAOS_FOR=$(or $(FOR),10m) WITWD_CHAOS_SEED=$(or $(SEED),1) WITWD_CHAOS_PAGE=$(or $(PAGE),docs/reliability.md) \
	  $(RUN) cargo test --locked --workspace --test chaos

check: ## formatting and lints
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

build: bootstrap ## the release binary
	@test -x $(WITWD) || echo "== building witwd (release; from nothing about five minutes on two cores, for some 200 crates)" >&2
	cargo build --release --locked

bootstrap: ## what a bare Debian machine lacks: engine, mmdebstrap, linker
	@images/bootstrap

bootstrap-test:
	@images/bootstrap test
