GO ?= go

# Linters are run at these versions, and not listed in go.mod: nobody who imports this module should have to resolve them.
GOFUMPT     := mvdan.cc/gofumpt@v0.12.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
ERRORLINT   := github.com/polyfloyd/go-errorlint@v1.8.0
MISSPELL    := github.com/golangci/misspell/cmd/misspell@v0.8.0
# The newest that Go 1.26 builds. It asks type switches over interfaces marked with //sumtype:decl for every case, unless they have a default
# that does not panic.
SUMTYPE     := github.com/alecthomas/go-check-sumtype/cmd/go-check-sumtype@v0.4.0

TEST_TIMEOUT ?= 15m
PACKAGES     ?= ./...

.DEFAULT_GOAL := help

.PHONY: help
help: ## Print what can be made
	@grep -hE '^[a-z/-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-13s %s\n", $$1, $$2 }'

.PHONY: test
test: ## Run all tests with the race detector, on SQLite and on a throw-away PostgreSQL
	scripts/with-postgres $(GO) test -race -timeout $(TEST_TIMEOUT) $(PACKAGES)

# The oldest and the newest that are supported, at the versions of the npm packages that have them.
POSTGRES_VERSIONS ?= 14.23.0-beta.17 18.4.0-beta.17

.PHONY: test/versions
test/versions: ## Run what depends on PostgreSQL's version on the oldest and the newest, where npm brings them
	scripts/each-postgres '$(POSTGRES_VERSIONS)' $(GO) test -count=1 -timeout 5m \
		./squidmesh/pgstore ./riveradapter ./migrations ./invariants

.PHONY: mutants
mutants: ## Plant every bug of the lists, and require that a property or a test finds it (make test plants some of them)
	MUTANTS=all scripts/with-postgres $(GO) test -count=1 -timeout 90m ./internal/mutants

.PHONY: plans
plans: ## Look at the plan of every statement with 1,000,000 ended runs and 100,000 active ones (make test has a fiftieth of them)
	PLANS=full scripts/with-postgres $(GO) test -count=1 -v -run TestStatements_FindTheirRowsByIndexes ./squidmesh/pgstore

.PHONY: lint
lint: ## Check formatting, width, vet, staticcheck, how errors are compared and wrapped, that no event is forgotten, and spelling
	@unformatted="$$(find . -name '*.go' -not -path '*/.*' -exec $(GO) run $(GOFUMPT) -l {} +)" || exit 1; \
	if [ -n "$$unformatted" ]; then echo "not formatted, run make fmt:"; echo "$$unformatted"; exit 1; fi
	@wide="$$(find . -name '*.go' -not -path '*/.*' -exec awk '{ line = $$0; gsub(/\t/, "    ", line) } \
		length(line) > 150 && line !~ /["`]/ { print FILENAME ":" FNR }' {} +)"; \
	if [ -n "$$wide" ]; then echo "over 150 columns, without a text that one could look for:"; echo "$$wide"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(ERRORLINT) -errorf ./...
	$(GO) run $(SUMTYPE) ./...
	$(GO) run $(MISSPELL) -error . # of no locale: the text is British, and the names of SQL, Go and JSON in it are not

.PHONY: fmt
fmt: ## Format all Go files
	$(GO) run $(GOFUMPT) -w .

.PHONY: bench
bench: ## Measure against the goals, side by side with River (BENCH_QUICK=1, BENCH_JSON=FILE, BENCH_ARGS='-only throughput')
	WITH_POSTGRES_DURABLE=1 scripts/with-postgres $(GO) run ./internal/bench $(BENCH_ARGS)

.PHONY: levers
levers: ## Measure what each of the optimizations is worth, by switching one off at a time
	WITH_POSTGRES_DURABLE=1 scripts/with-postgres $(GO) run -tags squidmesh_lever ./internal/bench -only levers $(BENCH_ARGS)

DURATION ?= 90s
SEED     ?= 0

.PHONY: soak
soak: ## Break a running system for DURATION=90s and prove that nothing was lost or done twice (SEED=7, SOAK_ARGS='-v -keep')
	$(GO) run -tags squidmesh_fault ./internal/soak -duration $(DURATION) -seed $(SEED) $(SOAK_ARGS)

FUZZTIME ?= 1m

.PHONY: fuzz
fuzz: ## Look for inputs that break a rule, FUZZTIME=1m for each target; what is found stays in testdata as a test
	@set -e; for package in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

.PHONY: house
house: ## Print how the tree is built: sizes and exports of packages and wings, long functions, imports
	$(GO) run ./internal/house

.PHONY: demo
demo: ## Run the demo on SQLite, or on PostgreSQL if DATABASE_URL is set
	$(GO) run -v ./cmd/demo # the first time it compiles SQLite, whatever the database: minutes on two cores
