# Skywatch: each target does all of its own set-up and says what it is doing.
.PHONY: help run cluster build deb test bench bench-cardinality bench-cluster bench-kafka bench-micro lint fix clean

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
ARGS ?=

help:            ## What there is to do
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 20

run: build       ## Build, start everything on this machine, show where to look  (ARGS='--data-dir DIR ...')
	@$(TARGET_DIR)/release/skywatch run $(ARGS)

cluster: build   ## Build, start three meta and two data nodes on this machine, joined  (ARGS='--data 3 --meta 1 --dir DIR')
	@scripts/cluster.sh $(TARGET_DIR)/release/skywatch $(ARGS)

build:           ## Build the release binary with the console inside
	@scripts/setup.sh build
	@scripts/build-console.sh
	@echo 'building skywatch (a few minutes the first time)' >&2
	@cargo build --release --quiet --locked -p skywatch

# BINARY names one that is there already; PROFILE=debug builds the quick one.
PROFILE ?= release
BINARY ?=
deb:             ## Build the Debian package and print its path  (BINARY=FILE | PROFILE=debug, OUT=DIR, VERSION=1.2-3)
ifeq ($(BINARY),)
ifeq ($(PROFILE),release)
	@$(MAKE) --no-print-directory build
else
	@scripts/build-console.sh
	@cargo build --quiet --locked -p skywatch
endif
endif
	@packaging/deb/build.sh $(or $(BINARY),$(TARGET_DIR)/$(PROFILE)/skywatch) $(or $(OUT),$(TARGET_DIR)/deb)

test:            ## Everything: lints, unit and property tests, real counterparts; ends with one line of counts
	@scripts/setup.sh test
	@scripts/build-console.sh
	@python3 tests/run.py $(ARGS)

bench: build     ## Measure beside InfluxDB and VictoriaMetrics; prints the README's table  (ARGS='--use-case devops --rounds 3 ...')
	@scripts/setup.sh bench
	@cargo build --release --quiet --locked -p skywatch-bench
	@$(TARGET_DIR)/release/skywatch-bench --skywatch $(TARGET_DIR)/release/skywatch $(ARGS)

bench-cardinality: build  ## What a million new series cost  (ARGS='--hosts 5000000 --servers skywatch,influxdb,victoria-metrics')
	@scripts/setup.sh bench
	@cargo build --release --quiet --locked -p skywatch-bench
	@$(TARGET_DIR)/release/skywatch-bench --skywatch $(TARGET_DIR)/release/skywatch --use-case cardinality $(ARGS)

bench-cluster: build  ## A cluster beside a single server: queries, writes, a node that was away  (ARGS='--cluster rejoin')
	@cargo build --release --quiet --locked -p skywatch-bench
	@$(TARGET_DIR)/release/skywatch-bench --skywatch $(TARGET_DIR)/release/skywatch --cluster reads,writes,rejoin $(ARGS)

bench-kafka: build  ## Writes through one real broker beside those from node to node  (ARGS='--kafka BROKER,... --outage-values 50000000')
	@scripts/kafka.sh fetch
	@cargo build --release --quiet --locked -p skywatch-bench
	@$(TARGET_DIR)/release/skywatch-bench --skywatch $(TARGET_DIR)/release/skywatch --cluster kafka $(ARGS)

bench-micro:     ## Each stage by itself: parse, log, memtable, flush, scan, index, codecs  (ARGS='a part of a name')
	@scripts/setup.sh build
	@cargo bench --locked --workspace --bench '*' -- $(ARGS)

lint:            ## Formatting and lints, changing nothing
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked --quiet -- -D warnings

fix:             ## Format and apply what clippy can mend
	@cargo fmt --all
	@cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged

clean:           ## Remove build output (data stays)
	@cargo clean
	@rm -rf console/dist console/node_modules tests/.venv tests/clients-node/node_modules .node
