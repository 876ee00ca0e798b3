package squidmesh

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// hostile is a workflow whose texts try to leave their quotes.
func hostile() Workflow {
	text := "a\"]; evil --> x\n<script>|\\"
	return of(
		Step{Name: "end", Description: text, Do: Choose(chooses[none]()), Routes: map[string]string{text: "subgraph"}},
		step("subgraph"),
	)
}

func TestDrawings_EscapeTexts(t *testing.T) {
	t.Parallel()
	spec, err := Compile(hostile())
	require.NoError(t, err)

	m := spec.Mermaid()
	require.Contains(t, m, `    s_end{"end<br/>a#34;#93;#59; evil --#62; x #60;script#62;#124;#92;"}`+"\n")
	require.Contains(t, m, `    s_end -->|"a#34;#93;#59; evil --#62; x #60;script#62;#124;#92;"| s_subgraph`+"\n")
	require.Contains(t, spec.DOT(), `    "end" -> "subgraph" [label="a\"]; evil --> x <script>|\\"];`+"\n")
}

func TestDrawings_OfARunShowStatuses(t *testing.T) {
	t.Parallel()
	spec, err := Compile(checkout())
	require.NoError(t, err)
	run := Run{ID: uuid.UUID{}, Status: RunFailed}
	row := func(name string, phase flow.Phase, status flow.StepStatus) flow.StepState {
		return flow.StepState{StepKey: flow.StepKey{Name: name, Phase: phase}, Status: status}
	}
	rows := []flow.StepState{
		row("reserve", flow.PhaseUndo, flow.StepCompleted),
		row("prepare", flow.PhaseDo, flow.StepFailed), row("reserve", flow.PhaseDo, flow.StepCompleted), row("score", flow.PhaseDo, flow.StepFailed),
	}

	m := flow.MermaidRun(spec, run, rows)
	require.True(t, strings.HasPrefix(m, "---\ntitle: \"run 00000000-0000-0000-0000-000000000000: failed\"\n---\nflowchart TD\n"), m)
	require.Contains(t, m, "    class s_prepare,s_score failed\n")
	require.Contains(t, m, "    class s_reserve undone\n")
	require.Contains(t, m, "    class s_decide,s_review,s_capture,s_decline skipped\n")

	d := flow.DOTRun(spec, run, rows)
	require.Contains(t, d, `"score" [label="score", fillcolor="#fc9272"];`)
	require.Contains(t, d, `"decide" [label="decide", shape=diamond, fillcolor="#f0f0f0"];`)

	run.Status = RunRunning
	require.Contains(t, flow.MermaidRun(spec, run, nil), "waiting\n")
}

func TestDOT_IsReadByGraphviz(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("dot")
	if err != nil {
		t.Skip("Graphviz is not installed")
	}
	for _, w := range []Workflow{checkout(), graphOfSteps(), hostile()} {
		spec, err := Compile(w)
		require.NoError(t, err)
		for _, drawing := range []string{spec.DOT(), flow.DOTRun(spec, Run{}, nil)} {
			cmd := exec.Command(program, "-Tsvg")
			cmd.Stdin = strings.NewReader(drawing)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s\n%s", out, drawing)
		}
	}
}
