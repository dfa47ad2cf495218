# Go is all this needs: the tools that `make check` uses are pinned in tools/go.mod and built by the go
# command. `make` alone lists what there is.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Modules may be nested two levels deep, so that a framework's module can be integrations/its-name.
MODULES := $(patsubst %/,%,$(dir $(wildcard ./go.mod ./*/go.mod ./*/*/go.mod)))
CODE    := $(filter-out ./tools,$(MODULES))
TOOL     = go tool -modfile=$(CURDIR)/tools/go.mod

# The race detector needs cgo, and cgo a C compiler.
CC_FOUND := $(shell command -v $$(go env CC | cut -d' ' -f1) 2>/dev/null)
RACE     := $(if $(and $(filter 1,$(shell go env CGO_ENABLED)),$(CC_FOUND)),-race)
ifeq ($(RACE),)
export CGO_ENABLED := 0
NO_RACE = echo 'warning: no C compiler, or CGO_ENABLED=0: running WITHOUT the race detector' >&2
else
NO_RACE = :
endif

# What the targets below can be given: make bench CASES=breaker ROUNDS=5, make run EXAMPLE=bulkhead
CASES    ?=
ROUNDS   ?=
FUZZTIME ?= 30s
SOAKTIME ?= 2m
EXAMPLE  ?= showcase
TIMEOUT  ?= 10m

# summary prints go test's lines but those of packages without tests, and a closing line.
summary = awk '/\[no test files\]$$/ { next } { print } /^ok / { ok++ } /^FAIL\t/ { bad++ } \
	END { printf "%d passed, %d failed\n", ok, bad }'

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## the showcase: a shop and its dangers, in one terminal; EXAMPLE=supervision runs another
	@if [ -f examples/$(EXAMPLE)/go.mod ]; then cd examples/$(EXAMPLE) && go run .; else go run ./examples/$(EXAMPLE); fi

# Tests of what is shared through Redis start their own servers, or use the one at BULWARK_REDIS_URL.
.PHONY: redis
redis: ## have redis-server, for tests, examples and bench: find it, or install it where that can be done
	@if [ -n "$${BULWARK_REDIS_URL:-}" ] || command -v redis-server >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo 'installing redis-server' >&2; log=$$(mktemp) stay=; trap 'rm -f "$$log" "$$stay"' EXIT; \
		if [ ! -e /usr/sbin/policy-rc.d ]; then stay=/usr/sbin/policy-rc.d; printf '#!/bin/sh\nexit 101\n' >$$stay; chmod +x $$stay; fi; \
		if apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends redis-server && command -v redis-server; then exit 0; \
		fi >$$log 2>&1; tail -5 $$log >&2; fi; \
	echo 'there is no redis-server: install it (Debian and Ubuntu: apt-get install redis-server; macOS: brew install redis),' \
		'or set BULWARK_REDIS_URL to a server that runs; tests that need it fail' >&2; \
	[ -z '$(filter redis,$(MAKECMDGOALS))' ] # whoever asked for no more than this is told that it failed

.PHONY: test
test: redis ## every test of every module, with the race detector; then allocation ceilings without it
	@$(NO_RACE)
	@{ rc=0; for m in $(CODE); do (cd $$m && go test $(RACE) -shuffle=on -timeout $(TIMEOUT) ./... 2>&1) || rc=1; done; \
	if [ -n "$(RACE)" ]; then $(MAKE) --no-print-directory -s allocs || rc=1; fi; exit $$rc; } | $(summary)

# The race detector allocates, so tests that count allocations are run once more without it.
.PHONY: allocs
allocs:
	@for m in $(CODE); do (cd $$m; \
	pkgs=$$(go list -f '{{.Dir}}' ./... | grep -v '/archtest$$' | \
		while read -r dir; do ! grep -lqsF AllocsPerRun "$$dir"/*_test.go || echo "$$dir"; done); \
	[ -z "$$pkgs" ] || go test -run Alloc $$pkgs 2>&1); done

.PHONY: check
check: ## formatting, lint and vet, architecture, tidiness: seconds, once the tools are built
	@echo 'format'; bad=$$($(TOOL) gofumpt -l .); [ -z "$$bad" ] || { echo "run make fmt:"; echo "$$bad"; exit 1; }
	@# The linter runs all of go vet's checks too.
	@for m in $(CODE); do echo "lint $$m"; (cd $$m && $(TOOL) golangci-lint run --config $(CURDIR)/.golangci.yml ./...); done
	@echo 'architecture'; go test ./internal/archtest
	@for m in $(MODULES); do echo "tidy $$m"; (cd $$m && go mod tidy -diff); done

.PHONY: bench
bench: redis ## side by side with the rivals; CASES=regexp and ROUNDS=n narrow it
	@cd bench && go run . -cases "$(CASES)" -rounds "$(ROUNDS)"

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME each
	@for m in $(CODE); do (cd $$m; \
	go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./... | while read -r pkg; do \
	go test -list '^Fuzz' $$pkg | { grep '^Fuzz' || true; } | while read -r target; do \
	echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg </dev/null; done; done); done

.PHONY: soak
soak: redis ## the long runs: every test 20 times, and those that wait for BULWARK_SOAK=1
	@$(NO_RACE)
	@{ rc=0; for m in $(CODE); do (cd $$m && BULWARK_SOAK=1 go test $(RACE) -shuffle=on -count=20 -timeout 2h ./... 2>&1) || rc=1; done; \
	exit $$rc; } | $(summary)

.PHONY: soak-redis
soak-redis: redis ## eight processes share a limit for SOAKTIME each way, while replicas take over and scripts are flushed
	@$(NO_RACE)
	@BULWARK_SOAK=1 BULWARK_SOAK_FOR=$(SOAKTIME) go test $(RACE) -v -count=1 -run '^TestSoak' -timeout 3h ./patterns/ratelimiter/redis 2>&1 | \
		grep -v '^redis: '

.PHONY: fmt
fmt: ## format every file
	@$(TOOL) gofumpt -w .

.PHONY: tidy
tidy: ## go mod tidy, in every module
	@for m in $(MODULES); do (cd $$m && go mod tidy); done
