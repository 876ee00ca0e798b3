// Package border holds the borders between the packages of this module: what may not be imported where, each with the
// reason.
package border

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	module  = "github.com/squidmesh/squidmesh-go"
	core    = module + "/squidmesh"
	pg      = module + "/squidmesh/pgstore"
	sqlite  = module + "/squidmesh/sqlitestore"
	memory  = module + "/squidmesh/memstore"
	kit     = module + "/squidmesh/squidmeshtest"
	law     = module + "/squidmesh/flow"
	ports   = module + "/squidmesh/driver"
	suites  = module + "/squidmesh/drivertest"
	scripts = module + "/internal/scenariotest"
	types   = module + "/squidmesh/jsontype"
	waker   = module + "/internal/wake"
	adapter = module + "/riveradapter"
	tracing = module + "/oteladapter"
)

const (
	pgx    = "github.com/jackc/pgx"
	river  = "github.com/riverqueue/river"
	modern = "modernc.org/sqlite"
	otel   = "go.opentelemetry.io"
	sdk    = "go.opentelemetry.io/otel/sdk"
	uuid   = "github.com/google/uuid"
	cron   = "github.com/robfig/cron"
)

// forbidden are imports that a package may not have, neither itself nor through others.
var forbidden = []struct {
	from    string
	to      []string
	because string
}{
	{types, []string{law, ports, core, uuid}, "what JSON values look like is asked by rules and by programs alike, and depends on neither"},
	{law, []string{ports, core, cron}, "a rule is a function of its arguments: that makes it provable by properties, replayable from scenarios, and the same in a batch as alone"},
	{ports, []string{core, pgx, river, modern, otel}, "who writes a store or an executor implements these and needs nothing of the runtime"},
	{suites, []string{core, river, modern, pgx, pg, sqlite, memory, adapter}, "a suite knows the contract alone: what it took from the runtime or from one driver, another one need not keep"},
	{waker, []string{law, ports, core}, "when to wake a queue is a matter of time alone: it knows queues by name, and nothing of what they carry"},
	{core, []string{pgx, river, modern, otel}, "the runtime is generic over the host's transaction: with a driver or a queue of its own it could serve one host only"},
	{pg, []string{river, modern, otel, sqlite, adapter}, "a store keeps runs, whatever delivers them, and a PostgreSQL program should not link SQLite"},
	{sqlite, []string{river, pgx, otel, pg, adapter}, "a store keeps runs, whatever delivers them, and a SQLite program should not link pgx"},
	{adapter, []string{pg, sqlite, modern, otel}, "the adapter takes any transaction that River takes, so it may know no store"},
	{tracing, []string{sdk, pgx, river, modern, pg, sqlite, adapter}, "telemetry is told of runs, wherever they are kept; which SDK takes it is the program's choice"},
	{memory, []string{river, modern, pgx, pg, sqlite, adapter}, "what tests run on must need no database, nor link one"},
	{kit, []string{river, modern, pgx, pg, sqlite, adapter}, "a program's tests link the driver of its own database, not all there are"},
	{kit, []string{suites, scripts}, "who tests workflows needs neither the suites of drivers nor the scripts of this project"},
	{scripts, []string{kit, suites}, "scripts and the kit each show that the other is right, so what they share is no more than what is turned by hand"},
}

func TestPackagesDoNotImportAcrossBorders(t *testing.T) {
	t.Parallel()

	for _, rule := range forbidden {
		t.Run(path.Base(rule.from), func(t *testing.T) {
			t.Parallel()

			for _, p := range list(t, "-deps", rule.from) {
				for _, to := range rule.to {
					across := within(p.ImportPath, to) && (to != core || p.ImportPath == core) // what stands below the front door bears its name
					require.False(t, across, "%s imports %s: %s", rule.from, p.ImportPath, rule.because)
				}
			}
		})
	}
}

// The core is what everybody links and what every rule of the runtime depends on: each dependency of it is one of all its
// users, so the list is closed. uuid makes run ids, cron parses schedules; of the module's own, those for text, JSON, checks and schedules
// are nothing but functions; wake knows queues by name alone; fault, lever and standin do nothing in programs as they are shipped.
func TestCoreImportsOnlyStandardLibraryUUIDAndCron(t *testing.T) {
	t.Parallel()

	allowed := []string{core, uuid, cron + "/v3"}
	for _, name := range []string{"check", "echo", "encode", "envelope", "fault", "lever", "nearest", "schedule", "standin", "text", "wake"} {
		allowed = append(allowed, module+"/internal/"+name)
	}
	for _, p := range list(t, "-deps", core) {
		if within(p.ImportPath, core) {
			require.NotContains(t, p.Imports, "database/sql", "%s: a transaction is a type parameter here", p.ImportPath)
		}
		require.True(t, p.Standard || slices.ContainsFunc(allowed, func(a string) bool { return within(p.ImportPath, a) }),
			"squidmesh imports %s", p.ImportPath)
	}
}

// A test library in a program's binary registers flags and weighs megabytes. Only packages that are test libraries
// themselves may import one, and those are named so: their names end in "test".
func TestProductionImportsNoTestLibrary(t *testing.T) {
	t.Parallel()

	libraries := []string{"testing", "github.com/stretchr/testify", "pgregory.net/rapid", "github.com/google/go-cmp"}
	isTestLibrary := func(importPath string) bool {
		return slices.ContainsFunc(libraries, func(l string) bool { return within(importPath, l) }) ||
			within(importPath, module) && strings.HasSuffix(path.Base(importPath), "test")
	}
	for _, p := range list(t, module+"/...") {
		if isTestLibrary(p.ImportPath) {
			continue
		}
		for _, i := range p.Imports {
			require.False(t, isTestLibrary(i), "%s imports %s", p.ImportPath, i)
		}
	}
}

// Decisions are functions of their arguments: that is what makes them provable by properties, replayable from scenarios,
// and the same in a batch as alone. So package flow and what it stands on know no clock, chance, database, log, context, lock or goroutine.
func TestDecisionsAreFunctionsOfTheirArguments(t *testing.T) {
	t.Parallel()

	banned := []string{"context", "database/sql", "sync", "sync/atomic", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand", "os", "net"}
	excused := map[string]string{
		"spec.go": "log/slog", // for the level of a Log step, which is a value
	}
	calls := []string{"time.Now", "time.Since", "time.Until", "time.After", "time.AfterFunc", "time.Sleep", "time.NewTimer", "time.Tick", "uuid.New", "uuid.NewV7", "uuid.NewRandom", "uuid.NewString"}

	for _, name := range decisionFiles(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()

			set := token.NewFileSet()
			file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			for _, spec := range file.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				require.NoError(t, err)
				if excused[filepath.Base(name)] != imported {
					require.NotContains(t, banned, imported)
				}
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					require.Fail(t, "go statement", "%s", set.Position(n.Pos()))
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok {
						require.NotContains(t, calls, x.Name+"."+n.Sel.Name, "%s", set.Position(n.Pos()))
					}
				}
				return true
			})
		})
	}
}

func decisionFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, dir := range []string{"squidmesh/flow", "squidmesh/jsontype"} {
		found, err := filepath.Glob(filepath.Join("..", "..", dir, "*.go"))
		require.NoError(t, err)
		for _, name := range found {
			if !strings.HasSuffix(name, "_test.go") {
				files = append(files, name)
			}
		}
	}
	require.NotEmpty(t, files)
	return files
}

type goPackage struct {
	ImportPath string
	Imports    []string // without those of tests
	Standard   bool
}

// list asks the go command, which knows build tags and test files as the compiler does.
func list(t *testing.T, arguments ...string) []goPackage {
	t.Helper()
	// What the go command reads is hidden from the cache of test results, so it has to be looked at here too.
	require.NoError(t, filepath.WalkDir(filepath.Join("..", ".."), func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == ".git" {
			return fs.SkipDir
		}
		if err == nil && strings.HasSuffix(name, ".go") {
			_, err = os.Stat(name)
		}
		return err
	}))
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-e", "-json=ImportPath,Imports,Standard"}, arguments...)...)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	require.NoError(t, err)

	var packages []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		packages = append(packages, p)
	}
	require.NotEmpty(t, packages)
	return packages
}

// within says whether an import path is the given one or below it.
func within(importPath, parent string) bool {
	return importPath == parent || strings.HasPrefix(importPath, parent+"/")
}
