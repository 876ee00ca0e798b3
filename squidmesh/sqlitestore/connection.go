package sqlitestore

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"modernc.org/sqlite"
)

const (
	// keptStatements is how many a connection keeps prepared. This store and River have about a hundred.
	keptStatements = 256
	// keptText is the longest that is kept: migrations are executed once.
	keptText = 16 << 10
)

// connector opens connections that keep their statements prepared, be they the store's, River's or those of step functions. To prepare one
// takes SQLite about as long as to execute it.
type connector struct{ driver.Connector }

func connect(dsn string) (*sql.DB, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector{c}), nil
}

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &connection{driverConn: conn.(driverConn), idle: map[string]driverStmt{}}, nil
}

// driverConn is what a connection of the driver can do since the version in go.mod, for database/sql and for those who reach for it by Raw;
// sqlite.Limit takes only the driver's own. The others are what its statements and rows can do.
type driverConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator

	sqlite.FileControl
	sqlite.HookRegisterer
	sqlite.AuthorizerRegisterer
	sqlite.DBStatus
	ColumnInfo(query string) ([]sqlite.ColumnInfo, error)
	Deserialize(data []byte) error
	IsReadOnly(schema string) (bool, error)
	NewBackup(to string) (*sqlite.Backup, error)
	NewRestore(from string) (*sqlite.Backup, error)
	Serialize() ([]byte, error)
}

type driverStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type driverRows interface {
	driver.Rows
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeLength
	driver.RowsColumnTypeNullable
	driver.RowsColumnTypePrecisionScale
	driver.RowsColumnTypeScanType
}

// connection is one connection. As database/sql promises, one goroutine at a time uses it, its statements and their rows.
type connection struct {
	driverConn
	idle   map[string]driverStmt // by text; whoever executes one has taken it out
	closed bool
}

// take is a prepared statement that nobody else uses.
func (c *connection) take(ctx context.Context, text string) (driverStmt, error) {
	if stmt, ok := c.idle[text]; ok {
		delete(c.idle, text)
		return stmt, nil
	}
	stmt, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	return stmt.(driverStmt), nil
}

// give keeps a statement for the next who has its text.
func (c *connection) give(text string, stmt driverStmt) error {
	if _, another := c.idle[text]; another || c.closed || len(text) > keptText {
		return stmt.Close()
	}
	for some, stmt := range c.idle {
		if len(c.idle) < keptStatements {
			break
		}
		delete(c.idle, some)
		_ = stmt.Close() // which has ended well
	}
	c.idle[text] = stmt
	return nil
}

// ExecContext implements driver.ExecerContext.
func (c *connection) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	stmt, err := c.take(ctx, text)
	if err != nil {
		return nil, err
	}
	result, err := stmt.ExecContext(ctx, args)
	if err != nil {
		_ = stmt.Close() // what it says has been said
		return nil, err
	}
	return result, c.give(text, stmt)
}

// QueryContext implements driver.QueryerContext.
func (c *connection) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	stmt, err := c.take(ctx, text)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, args)
	if err != nil {
		_ = stmt.Close()
		return nil, err
	}
	return &stmtRows{rows.(driverRows), c, text, stmt}, nil
}

// Close implements driver.Conn.
func (c *connection) Close() error {
	c.closed = true
	c.forget()
	return c.driverConn.Close()
}

// RegisterPreUpdateHook implements sqlite.HookRegisterer. Statements that were prepared without a hook may go past it.
func (c *connection) RegisterPreUpdateHook(hook sqlite.PreUpdateHookFn) {
	c.forget()
	c.driverConn.RegisterPreUpdateHook(hook)
}

func (c *connection) forget() {
	for _, stmt := range c.idle {
		_ = stmt.Close() // which has ended well
	}
	clear(c.idle)
}

// stmtRows are rows that give their statement back.
type stmtRows struct {
	driverRows
	conn *connection
	text string
	stmt driverStmt
}

func (r *stmtRows) Close() error {
	if err := r.driverRows.Close(); err != nil {
		_ = r.stmt.Close()
		return err
	}
	return r.conn.give(r.text, r.stmt)
}
