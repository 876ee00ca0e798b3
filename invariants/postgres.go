package invariants

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// PostgresDB is a *pgxpool.Pool, a *pgx.Conn or a pgx.Tx.
type PostgresDB interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// CheckPostgres runs all rules on one snapshot of the database and returns what breaks them. On a pgx.Tx it sees what that
// transaction sees. Options may be nil.
func CheckPostgres(ctx context.Context, db PostgresDB, options *Options) ([]Violation, error) {
	rules, err := Postgres(options)
	if err != nil {
		return nil, err
	}
	begins, ok := db.(interface {
		BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
	})
	if !ok {
		return checkPostgres(ctx, db, rules, options)
	}
	tx, err := begins.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("check invariants: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it has only read
	return checkPostgres(ctx, tx, rules, options)
}

func checkPostgres(ctx context.Context, db PostgresDB, rules []Invariant, options *Options) ([]Violation, error) {
	var violations []Violation
	for _, rule := range rules {
		rows, err := db.Query(ctx, rule.limited(options))
		if err != nil {
			return nil, fmt.Errorf("check %s: %w", rule.Name, err)
		}
		v := Violation{Invariant: rule.Name}
		if _, err := pgx.ForEachRow(rows, []any{&v.Run, &v.What}, func() error {
			violations = append(violations, v)
			return nil
		}); err != nil {
			return nil, fmt.Errorf("check %s: %w", rule.Name, err)
		}
	}
	return violations, nil
}
