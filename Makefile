# Tidegate. `make demo` shows the main job, `make test` is everything that CI runs.
# Needed: Rust, Go, Python 3 with pip, make. Everything else is built once into a cache outside the work tree.

CARGO ?= cargo
LAB := target/lab
TEST_THREADS ?= 6

.PHONY: build demo lab test check unit lab-test lab-verdicts lab-install conformance crash faults outages bench-idle bench-verdicts sim sim-long crashes crash-pairs mishaps fuzz mutants generate chart image musl deny
.DEFAULT_GOAL := build

build: ## The binary, target/debug/tidegate
	$(CARGO) build

$(LAB): $(shell find e2e/lab -name '*.go' -o -name 'go.*') $(shell find e2e/lab/cluster/manifests -type f)
	cd e2e/lab && go build -o ../../$@ .

demo: ## v2 promoted under load, v3 taken back by the error budget, v4 by the deadline
	@echo "make demo: about 30 min on 2 cores the first time, nearly all of it builds; under 8 min after that"
	$(CARGO) build --locked --bin tidegate --example demo
	$(MAKE) --no-print-directory $(LAB)
	TIDEGATE_BIN=$(CURDIR)/target/debug/tidegate $(LAB) run -- target/debug/examples/demo

lab: $(LAB) ## A cluster to play with, until Ctrl-C
	@$(CARGO) build --locked --bin tidegate
	@echo 'export PATH=$(CURDIR)/target/debug:$$PATH'
	@$(LAB) up

test: check unit chart deny lab-test lab-install musl ## Everything that CI runs

check: ## Format and lints, and no merge left unfinished
	! git grep -nE '^(<{7}|>{7}) '
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	$(CARGO) clippy --test lab --test outages --test helm --test install --locked -- -D warnings
	$(CARGO) clippy --test mutants --features mutants --locked -- -D warnings
	cd e2e/lab && test -z "$$(gofmt -l .)" && go vet ./...

unit: ## Unit, golden, property and story tests; no cluster
	$(CARGO) test --locked
	cd e2e/lab && go test ./...

chart: $(LAB) ## The chart linted and rendered by Helm, and compared with golden files
	$(CARGO) test --locked --test helm

# Compiled before the lab starts, so that the tests have the cores for themselves.
lab-test: $(LAB) ## Tests on a real API server, gateway and Prometheus
	$(CARGO) test --locked --test lab --no-run
	$(LAB) run -- sh -ec '$(CARGO) test --offline --locked --test lab -- --test-threads $(TEST_THREADS) --skip rights::; \
		$(CARGO) test --offline --locked --test lab -- rights::'

lab-install: $(LAB) ## The chart installed, upgraded and taken away on a real API server, in a lab of its own
	$(CARGO) test --locked --test install --no-run
	$(LAB) run -- $(CARGO) test --offline --locked --test install -- --test-threads 1

lab-verdicts: $(LAB) ## The verdicts in the lab with scrapes every second: 10 reverts, 10 rollouts of equal versions in five namespaces
	$(CARGO) test --locked --test lab --no-run
	VERDICT_ROLLOUTS=10 VERDICT_REVERTS=10 $(LAB) run --scrape-interval 1s -- $(CARGO) test --offline --locked --test lab -- --test-threads 1 --nocapture verdicts::

SEQUENCES ?= 1000

conformance: $(LAB) ## SEQUENCES=n requests recorded in the simulator and disturbed: its API server and the real one answer the same
	$(CARGO) test --locked --test lab --no-run
	SEQUENCES=$(SEQUENCES) $(LAB) run -- $(CARGO) test --offline --locked --test lab -- --test-threads 1 --nocapture conformance::

crash: $(LAB) ## Every write of a promotion and of a revert crashed on each side, on a real API server
	@echo "make crash: about 375 points, under 20 min on 2 cores, once the optimised build of about 10 min is there"
	$(CARGO) test --locked --release --test lab --no-run
	CRASH_POINTS=all $(LAB) run -- $(CARGO) test --offline --locked --release --test lab -- --test-threads 1 --nocapture crash_points::

faults: $(LAB) ## An API server that refuses, delays, forgets and goes silent; a dozen crash points
	$(CARGO) test --locked --test lab --no-run
	$(LAB) run -- $(CARGO) test --offline --locked --test lab -- --test-threads 2 --nocapture faults:: crash_points::

outages: $(LAB) ## API server, etcd and Prometheus taken away in mid-run; a lab of its own, for it disturbs every other test
	$(CARGO) test --locked --test outages --no-run
	$(LAB) run -- $(CARGO) test --offline --locked --test outages -- --test-threads 1 --nocapture

bench-idle: $(LAB) musl ## 500 Rollouts at rest: the memory of the image's binary, and no write in a minute
	$(CARGO) test --locked --test lab --no-run
	IDLE_ROLLOUTS=500 IDLE_SECONDS=60 IDLE_MOST_MB=48 IDLE_BIN=$(TOOLS)/musl/$(MUSL)/dist/tidegate $(LAB) run -- $(CARGO) test --offline --locked --test lab -- --nocapture idle::a_restart

bench-verdicts: ## What the verdicts promise, on 2000 simulated hours of each of 50 cells
	@echo "make bench-verdicts: under a minute, once the optimised build of about 10 min is there"
	$(CARGO) bench --locked --bench verdicts

SEED ?=
SCHEDULES ?= 30000

sim: ## Random schedules: 100,000 of the engine on a typed World, 3,000 of the whole controller; SEED=n tells one
	$(CARGO) test --locked --release --test engine_schedules --test sim_schedules --no-run
	@$(if $(SEED),SEED=$(SEED),SCHEDULES=100000) $(CARGO) test --locked --release --test engine_schedules -- --nocapture
	@$(if $(SEED),SEED=$(SEED),SCHEDULES=3000) $(CARGO) test --locked --release --test sim_schedules -- --nocapture

sim-long: ## SCHEDULES=n of the whole controller
	SCHEDULES=$(SCHEDULES) $(CARGO) test --locked --release --test sim_schedules -- --nocapture

crashes: ## A crash at every write of every story, on each side
	CRASHES=all $(CARGO) test --locked --release --test sim_crashes -- --nocapture

crash-pairs: ## Two crashes in each story, at the first write of any two sites
	CRASHES=pairs $(CARGO) test --locked --release --test sim_crashes -- --nocapture

mishaps: ## Every event of every story hidden, twice and late; every answer that others make old on its way
	MISHAPS=all $(CARGO) test --locked --release --test sim_mishaps -- --nocapture

FUZZ_RUNS ?= 20000

fuzz: ## FUZZ_RUNS=n mutated inputs for each parser of foreign input; FUZZ_SEED=n draws others
	@echo "make fuzz: about 10 min on 2 cores, once the optimised build is there"
	FUZZ_RUNS=$(FUZZ_RUNS) $(CARGO) test --locked --release --test fuzz -- --nocapture

mutants: ## Seeded bugs in the simulator: which law or story catches each
	@echo "make mutants: under 15 min on 2 cores, once the optimised build of about 10 min is there"
	$(CARGO) test --release --locked --features mutants --test mutants -- --nocapture

generate: $(LAB) ## Rewrite what is generated: CRDs, references, the chart's rules, plain manifests, golden files
	UPDATE_GOLDEN=1 $(CARGO) test --test crds --test cli --test view --test plan --test chart
	UPDATE_GOLDEN=1 $(CARGO) test --test helm

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
DOCKER ?= $(firstword $(foreach it,docker podman,$(shell $(it) info >/dev/null 2>&1 && echo $(it))))
IMAGE_LIMIT := 25000000
# The image's date is that of its sources, not of its build.
SOURCE_DATE = $(or $(shell git log -1 --format=%ct 2>/dev/null),0)
MUSL := $(shell uname -m)-unknown-linux-musl

image: ## The image tidegate:VERSION, by Docker or Podman
	@if [ -z "$(DOCKER)" ]; then echo "make image: neither Docker nor Podman answers here; start one, or run: make musl"; exit 1; fi
	$(DOCKER) build --build-arg SOURCE_DATE_EPOCH=$(SOURCE_DATE) --tag tidegate:$(VERSION) .
	@size=$$($(DOCKER) image inspect --format '{{.Size}}' tidegate:$(VERSION)); echo "tidegate:$(VERSION): $$size bytes"; test $$size -lt $(IMAGE_LIMIT)

TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tidegate-tools

# The standard library for musl comes with the target: rustup target add $(MUSL), and a C compiler for it: apt-get install musl-tools.
# The libraries under it are compiled once, into a cache: about 9 min on 2 cores the first time.
musl: export CARGO_TARGET_DIR := $(TOOLS)/musl
musl: ## The static binary that the image holds, and its size
	@if [ ! -d "$$(rustc --print sysroot)/lib/rustlib/$(MUSL)" ] || ! command -v musl-gcc >/dev/null; then \
		echo "make musl: the static build is not checked here, it needs: rustup target add $(MUSL); apt-get install musl-tools"; \
	else \
		$(CARGO) build --locked --profile dist --bin tidegate --target $(MUSL) && \
		binary=$$CARGO_TARGET_DIR/$(MUSL)/dist/tidegate && \
		$$binary version && ! readelf --program-headers $$binary | grep INTERP && \
		size=$$(stat -c %s $$binary) && echo "$$binary: $$size bytes" && test $$size -lt $(IMAGE_LIMIT); \
	fi

DENY_ROOT := $(TOOLS)/cargo-deny
DENY := $(DENY_ROOT)/bin/cargo-deny

$(DENY):
	@echo "make deny: cargo-deny is built once into $(DENY_ROOT), about 5 min on 2 cores"
	$(CARGO) install --locked --debug --root $(DENY_ROOT) cargo-deny

deny: $(DENY) ## Licences, sources and bans; advisories too where their database is reached
	$(DENY) --all-features check licenses bans sources
	@$(DENY) fetch db >/dev/null 2>&1 && $(DENY) --all-features check advisories \
		|| { $(DENY) fetch db >/dev/null 2>&1 && exit 1; echo "make deny: the advisory database is not reached from here; advisories are not checked"; }
