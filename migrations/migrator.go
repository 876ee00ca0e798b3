package migrations

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/sqltext"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Migrator applies migrations to one database. Several goroutines and several processes may use migrators at once: each version is
// applied in a transaction of its own, under a lock, after a look at what is there.
type Migrator struct {
	database database
	versions []Version
	schema   string
	logger   *slog.Logger
	err      error // of the options
}

// database is what differs between the two.
type database interface {
	// exclusive runs fn in a transaction that no other migrator can run at the same time.
	exclusive(ctx context.Context, schema string, fn func(transaction) error) error
}

// transaction is an open transaction under the migration lock.
type transaction interface {
	// applied lists the recorded versions; none if there is no table of them.
	applied(ctx context.Context) (map[int]time.Time, error)
	exec(ctx context.Context, sql string) error
}

func newMigrator(dialect string, db database, options *Options) *Migrator {
	m := &Migrator{database: db, logger: slog.New(slog.DiscardHandler)}
	if options != nil {
		m.schema = options.Schema
		if options.Logger != nil {
			m.logger = options.Logger
		}
	}
	m.err = sqltext.CheckSchema(m.schema)
	if m.err == nil && m.schema != "" && dialect == "sqlite" {
		m.err = &squidmesh.InputError{Field: "Schema", Code: "not_applicable", Detail: "SQLite has none"}
	}
	if m.err == nil {
		m.versions, m.err = load(dialect)
	}
	return m
}

// MigrateOptions say how far to go. The zero MigrateOptions go up to the newest version, or one version down.
type MigrateOptions struct {
	// TargetVersion is the last version to apply on the way up, and the last one to keep on the way down. Zero is the newest
	// version on the way up, and the one before the present one on the way down. On the way down -1 removes everything.
	TargetVersion int

	// DryRun changes nothing and returns what would be done.
	DryRun bool
}

// Result is what a migration did, in order.
type Result struct {
	Direction Direction
	Versions  []Applied
}

// Applied is a version that was applied or taken back.
type Applied struct {
	Version  int
	Name     string
	SQL      string
	Duration time.Duration
}

// Migrate applies what is missing, or takes versions back. If it fails, the versions before stay applied, and the failed one leaves
// nothing behind. The result says how far it came.
func (m *Migrator) Migrate(ctx context.Context, direction Direction, options *MigrateOptions) (*Result, error) {
	result := &Result{Direction: direction}
	if options == nil {
		options = &MigrateOptions{}
	}
	if err := m.check(direction, options); err != nil {
		return result, err
	}
	present, err := m.present(ctx)
	if err != nil {
		return result, err
	}
	for _, v := range m.plan(direction, options, present) {
		done := Applied{Version: v.Version, Name: v.Name, SQL: v.sql(direction, m.schema)}
		if !options.DryRun {
			did, err := m.apply(ctx, direction, &done)
			if err != nil {
				return result, fmt.Errorf("migrate %s %03d_%s: %w", direction, v.Version, v.Name, err)
			}
			if !did {
				continue // another process was faster
			}
		}
		result.Versions = append(result.Versions, done)
	}
	return result, nil
}

func (m *Migrator) check(direction Direction, options *MigrateOptions) error {
	switch {
	case m.err != nil:
		return m.err
	case direction != Up && direction != Down:
		return &squidmesh.InputError{
			Field: "direction", Code: "unknown_direction", Detail: fmt.Sprintf("%s must be %q or %q", echo.Quote(string(direction)), Up, Down),
		}
	case options.TargetVersion > len(m.versions), options.TargetVersion < -1, options.TargetVersion < 0 && direction == Up:
		return &squidmesh.InputError{
			Field: "TargetVersion", Code: "out_of_range", Detail: fmt.Sprintf("is %d, there are 1 to %d", options.TargetVersion, len(m.versions)),
		}
	}
	return nil
}

// plan lists what is to be done, in order.
func (m *Migrator) plan(direction Direction, options *MigrateOptions, present map[int]time.Time) []Version {
	var plan []Version
	if direction == Up {
		for _, v := range m.versions {
			_, applied := present[v.Version]
			if !applied && (options.TargetVersion == 0 || v.Version <= options.TargetVersion) {
				plan = append(plan, v)
			}
		}
		return plan
	}
	for _, v := range slices.Backward(m.versions) {
		if _, applied := present[v.Version]; applied && v.Version > options.TargetVersion {
			plan = append(plan, v)
		}
	}
	if options.TargetVersion == 0 && len(plan) > 1 {
		plan = plan[:1]
	}
	return plan
}

// apply runs one version under the lock, unless it has become superfluous.
func (m *Migrator) apply(ctx context.Context, direction Direction, a *Applied) (did bool, err error) {
	start := time.Now()
	err = m.database.exclusive(ctx, m.schema, func(tx transaction) error {
		present, err := tx.applied(ctx)
		if err != nil {
			return err
		}
		if _, applied := present[a.Version]; applied == (direction == Up) {
			return nil
		}
		did = true
		return tx.exec(ctx, a.SQL)
	})
	a.Duration = time.Since(start)
	if did && err == nil {
		m.logger.InfoContext(ctx, "squidmesh: migrated", "direction", direction, "version", a.Version, "name", a.Name,
			"duration", a.Duration)
	}
	return did && err == nil, err
}

// present reads the recorded versions.
func (m *Migrator) present(ctx context.Context) (present map[int]time.Time, err error) {
	err = m.database.exclusive(ctx, m.schema, func(tx transaction) error {
		present, err = tx.applied(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	return present, nil
}

// ValidateResult says whether the database has exactly the migrations of this package.
type ValidateResult struct {
	OK       bool
	Messages []string // what is missing or unknown, each a sentence
}

// Validate compares the database with this package. A newer database is not OK either; an old process sees one during a deploy. The
// messages tell the two cases apart.
func (m *Migrator) Validate(ctx context.Context) (*ValidateResult, error) {
	listed, err := m.List(ctx)
	if err != nil {
		return nil, err
	}
	result := &ValidateResult{}
	for _, v := range listed {
		switch {
		case v.Name == "":
			result.Messages = append(result.Messages, fmt.Sprintf("Migration %03d is applied but unknown: the database is newer than this program.", v.Version))
		case v.AppliedAt.IsZero():
			result.Messages = append(result.Messages, fmt.Sprintf("Migration %03d_%s is not applied: migrate up.", v.Version, v.Name))
		}
	}
	result.OK = len(result.Messages) == 0
	return result, nil
}

// Listed is a version that this package has, or that the database has.
type Listed struct {
	Version   int
	Name      string    // empty if only the database knows it
	AppliedAt time.Time // zero if it is not applied
}

// List returns all versions in order.
func (m *Migrator) List(ctx context.Context) ([]Listed, error) {
	if m.err != nil {
		return nil, m.err
	}
	present, err := m.present(ctx)
	if err != nil {
		return nil, err
	}
	var listed []Listed
	for _, v := range m.versions {
		listed = append(listed, Listed{Version: v.Version, Name: v.Name, AppliedAt: present[v.Version]})
		delete(present, v.Version)
	}
	for version, at := range present {
		listed = append(listed, Listed{Version: version, AppliedAt: at})
	}
	slices.SortFunc(listed, func(a, b Listed) int { return a.Version - b.Version })
	return listed, nil
}

// Versions returns the migrations of this package in order.
func (m *Migrator) Versions() []Version { return slices.Clone(m.versions) }

// SQL returns the text of one migration, for other tools. The text records itself in squidmesh_migration.
func (m *Migrator) SQL(version int, direction Direction) (string, error) {
	if err := m.check(direction, &MigrateOptions{}); err != nil {
		return "", err
	}
	if version < 1 || version > len(m.versions) {
		return "", &squidmesh.InputError{
			Field: "version", Code: "out_of_range", Detail: fmt.Sprintf("is %d, there are 1 to %d", version, len(m.versions)),
		}
	}
	return m.versions[version-1].sql(direction, m.schema), nil
}
