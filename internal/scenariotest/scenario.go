package scenariotest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Options say how scripts are run.
type Options struct {
	// Driver is the name under which scripts speak of the driver in their header, such as "core".
	Driver string

	// New makes a driver for one script. Functions of the workflows ask plays what to do.
	New func(t testing.TB, plays *Plays, config DriverConfig) Driver

	// Names selects scripts by their files' names without .txt. Empty selects all.
	Names []string

	// Update rewrites the printed results instead of comparing them: by the driver that a script's header names first, and
	// by the core where it names none. Commit what it changed only if you understand why.
	Update bool
}

// DriverConfig is what a script's header asks of its driver.
type DriverConfig struct {
	// DisableContinuation makes every step a job of its own.
	DisableContinuation bool
}

// Run runs the scripts of a directory, each as a parallel subtest.
//
// A script is a list of blocks with blank lines between them. A block is one or more commands, a line ----, and what they
// printed. Lines that begin with # are comments. The header may hold
//
//	only core,store: reason    the drivers that can run the script
//	continuation off           every step is a job of its own
//
// The commands are
//
//	start WORKFLOW [trigger=T] [key=K] [by=ACTOR] [as=NAME] [JSON]
//	cron WORKFLOW TRIGGER [signal=ID] [window=RFC3339]
//	play [undo] STEP: OUTCOME, ...     what the step's next attempts do: ok [JSON], fail TEXT, final TEXT, after DURATION TEXT,
//	                                   code CODE TEXT, panic TEXT, route NAME, echo (the failure that led here); then ok
//	hold [undo] STEP                   the step's next attempt stands still inside its function
//	finish [lost] [undo] STEP          lets go an attempt that stands still; lost: one of a lost worker
//	release [undo] STEP                takes the delivery away from an attempt that stands still
//	deliver [undo] STEP [attempt=N]    delivers the step's queued job, or any attempt, job or not
//	deliver compensation               asks to start or continue the run's compensation
//	run                                delivers whatever is due until nothing is
//	approve, reject, unblock, retry-undo, accept-undo [step=S] [by=ACTOR] [comment=TEXT]
//	cancel [compensate] [elsewhere] [by=ACTOR] [comment=TEXT]
//	replay [irreversible] [key=K] [by=ACTOR] [as=NAME]
//	advance DURATION                   moves the clock
//	lose worker                        declares the worker lost; a new one takes over
//	refuse jobs, accept jobs           what the queue does from now on
//	tick                               what a worker does once a second
//	deploy NAME                        replaces the definition of the workflow with a variant
//	use NAME                           makes another run the one that commands are about
//	state, audit, attempts, explain, outputs, jobs
//
// In results, #2 is attempt 2, and durations count from the moment of the transition.
func Run(t *testing.T, dir string, options Options) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "no scripts in %s", dir)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		if len(options.Names) > 0 && !slices.Contains(options.Names, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, file, options)
		})
	}
}

func run(t *testing.T, file string, options Options) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	script, err := parseScript(string(text))
	require.NoError(t, err, file)
	if len(script.only) > 0 && !slices.Contains(script.only, options.Driver) {
		t.Skipf("only %s: %s", strings.Join(script.only, ","), script.reason)
	}
	update := options.Update && options.Driver == append(script.only, "core")[0]
	plays := NewPlays()
	driver := options.New(t, plays, script.config)
	defer driver.Close()
	stage := newStage(t, driver, plays)
	for i := range script.blocks {
		b := &script.blocks[i]
		var got strings.Builder
		for _, command := range b.commands {
			result, err := stage.do(command)
			require.NoError(t, err, "%s:%d: %s", file, b.line, command)
			got.WriteString(result)
		}
		require.NoError(t, stage.audit(), "%s:%d", file, b.line)
		if update {
			b.result = got.String()
			continue
		}
		require.Equal(t, b.result, got.String(), "%s:%d: %s", file, b.line, strings.Join(b.commands, "; "))
	}
	if live, ok := driver.(interface{ settle() error }); ok {
		require.NoError(t, live.settle(), file)
	}
	if updated := script.String(); update && updated != string(text) {
		require.NoError(t, os.WriteFile(file, []byte(updated), 0o644)) //nolint:gosec // as source files are
	}
}

// script is a parsed scenario.
type script struct {
	only   []string
	reason string
	config DriverConfig
	header []string // as written
	blocks []block
	tail   []string // comments behind the last block
}

// block is commands and what they printed.
type block struct {
	comments []string
	commands []string
	result   string
	line     int
}

const rule = "----"

func parseScript(text string) (*script, error) {
	s := &script{}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	i := 0
	for ; i < len(lines) && lines[i] != ""; i++ {
		s.header = append(s.header, lines[i])
		if err := s.directive(lines[i]); err != nil {
			return nil, err
		}
	}
	for i < len(lines) {
		b := block{line: i + 1}
		for ; i < len(lines) && lines[i] != rule; i++ {
			switch {
			case strings.HasPrefix(lines[i], "#"):
				b.comments = append(b.comments, lines[i])
			case lines[i] != "":
				if len(b.commands) == 0 {
					b.line = i + 1
				}
				b.commands = append(b.commands, lines[i])
			}
		}
		if i == len(lines) && len(b.commands) == 0 {
			s.tail = b.comments
			break
		}
		for i++; i < len(lines) && lines[i] != ""; i++ {
			b.result += lines[i] + "\n"
		}
		s.blocks = append(s.blocks, b)
	}
	return s, nil
}

func (s *script) directive(line string) error {
	switch {
	case strings.HasPrefix(line, "#"):
	case strings.HasPrefix(line, "only "):
		names, reason, ok := strings.Cut(strings.TrimPrefix(line, "only "), ": ")
		if !ok {
			return fmt.Errorf("%q gives no reason", line)
		}
		s.only, s.reason = strings.Split(names, ","), reason
	case line == "continuation off":
		s.config.DisableContinuation = true
	default:
		return fmt.Errorf("the header knows no %q; a blank line ends it", line)
	}
	return nil
}

// String writes the script as it is read.
func (s *script) String() string {
	var b strings.Builder
	for _, line := range s.header {
		b.WriteString(line + "\n")
	}
	for _, block := range s.blocks {
		b.WriteString("\n")
		for _, line := range slices.Concat(block.comments, block.commands, []string{rule}) {
			b.WriteString(line + "\n")
		}
		b.WriteString(block.result)
	}
	if len(s.tail) > 0 {
		b.WriteString("\n" + strings.Join(s.tail, "\n") + "\n")
	}
	return b.String()
}
