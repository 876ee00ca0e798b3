package invariants

import (
	"context"
	"database/sql"
	"fmt"
)

// SQLiteDB is a *sql.DB, a *sql.Conn or a *sql.Tx.
type SQLiteDB interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// CheckSQLite runs all rules on one snapshot of the database and returns what breaks them. On a *sql.Tx it sees what that
// transaction sees. Options may be nil.
func CheckSQLite(ctx context.Context, db SQLiteDB, options *Options) ([]Violation, error) {
	rules, err := SQLite(options)
	if err != nil {
		return nil, err
	}
	begins, ok := db.(interface {
		BeginTx(ctx context.Context, options *sql.TxOptions) (*sql.Tx, error)
	})
	if !ok {
		return checkSQLite(ctx, db, rules, options)
	}
	tx, err := begins.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("check invariants: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // it has only read
	return checkSQLite(ctx, tx, rules, options)
}

func checkSQLite(ctx context.Context, db SQLiteDB, rules []Invariant, options *Options) ([]Violation, error) {
	var violations []Violation
	for _, rule := range rules {
		found, err := checkRule(ctx, db, rule, options)
		if err != nil {
			return nil, fmt.Errorf("check %s: %w", rule.Name, err)
		}
		violations = append(violations, found...)
	}
	return violations, nil
}

func checkRule(ctx context.Context, db SQLiteDB, rule Invariant, options *Options) ([]Violation, error) {
	rows, err := db.QueryContext(ctx, rule.limited(options))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []Violation
	for rows.Next() {
		v := Violation{Invariant: rule.Name}
		if err := rows.Scan(&v.Run, &v.What); err != nil {
			return nil, err
		}
		found = append(found, v)
	}
	return found, rows.Err()
}
