package squidmeshtest

import (
	"testing"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// RequireDeployable fails the test if the program could not go on with every unfinished run in the runtime's database. It says
// which runs would wait, and for what; see [squidmesh.Runtime.CheckDeploy]. The runtime need not be started. Options may be nil;
// they can leave out the runs of other programs that share the database.
func RequireDeployable[TTx any](t testing.TB, rt *squidmesh.Runtime[TTx], options *squidmesh.DeployOptions) *squidmesh.DeployReport {
	t.Helper()
	report, err := rt.CheckDeploy(t.Context(), options)
	if err == nil {
		err = report.Err()
	}
	if err != nil {
		t.Fatalf("squidmeshtest: %v", err)
	}
	return report
}
