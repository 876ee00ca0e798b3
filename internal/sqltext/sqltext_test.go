package sqltext_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/sqltext"
)

func files(text string) fstest.MapFS {
	return fstest.MapFS{"sql/a.sql": {Data: []byte(text)}, "sql/readme.txt": {Data: []byte("no SQL")}}
}

func TestStatements_SplitsIncludesAndPlaces(t *testing.T) {
	t.Parallel()

	got, err := sqltext.Statements(files("-- A file.\n\n-- name: Columns\n-- Why.\na,\n    b\n\n-- name: One\nselect /* include Columns */\n"+
		"-- why\nfrom /* schema */x;\n"), "app")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"Columns": "a,\n    b", "One": "select a,\n    b\nfrom \"app\".x"}, got)

	got, err = sqltext.Statements(files("-- name: One\nselect 1 from /* schema */x;"), "")
	require.NoError(t, err)
	require.Equal(t, "select 1 from x", got["One"])
}

func TestStatements_RefusesMistakes(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		"select 1;": "SQL before the first name",
		"-- name: One\nselect 1;\n-- name: One\nselect 2;": "statement One is there twice",
		"-- name: One\nselect /* include None */;":         "no statement None to include",
	} {
		_, err := sqltext.Statements(files(text), "")
		require.ErrorContains(t, err, want)
	}
	_, err := sqltext.Statements(files(""), "A-b")
	require.ErrorContains(t, err, `Schema: "A-b" must be`)
	for _, schema := range []string{"pg_temp", "pg_catalog", "pg_toast_temp_1", "pg_", "information_schema"} {
		_, err := sqltext.Statements(files(""), schema)
		require.ErrorContains(t, err, "choose a name", schema)
	}
	for _, schema := range []string{"pg", "pgx", "information_schemata", "_pg_temp"} {
		_, err := sqltext.Statements(files(""), schema)
		require.NoError(t, err, schema)
	}
}
