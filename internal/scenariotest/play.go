package scenariotest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Plays is what the steps of scripted workflows do: each attempt takes the next outcome that the script declared for its step, and
// succeeds when there is none. It is safe for concurrent use.
type Plays struct {
	mu       sync.Mutex
	outcomes map[flow.StepKey][]play
	holds    map[flow.StepKey]int
	entered  chan *heldCall

	gated  bool   // every attempt stands still until it is let go
	mirror *Plays // gets the same outcomes
}

// play is one outcome.
type play struct {
	output json.RawMessage
	route  string
	echo   bool

	message string // not empty: it fails
	code    string
	final   bool
	panics  bool
	after   *time.Duration
}

// heldCall is a function that stands still.
type heldCall struct {
	run     flow.RunID
	key     flow.StepKey
	attempt int
	goOn    chan bool // true: the delivery was taken away
}

// NewPlays makes an empty set of plays.
func NewPlays() *Plays {
	return &Plays{
		outcomes: map[flow.StepKey][]play{}, holds: map[flow.StepKey]int{}, entered: make(chan *heldCall, 100),
	}
}

// Func is a step with a result, which any JSON value can be; the step needs an Output.
func (p *Plays) Func() squidmesh.Action {
	return squidmesh.Func(func(ctx context.Context, _ struct{}) (json.RawMessage, error) { return p.perform(ctx) })
}

// Effect is a step without a result.
func (p *Plays) Effect() squidmesh.Action {
	return squidmesh.Effect(func(ctx context.Context, _ struct{}) error {
		_, err := p.perform(ctx)
		return err
	})
}

// Choose is a choice; it answers with what the script says by route.
func (p *Plays) Choose() squidmesh.Action {
	return squidmesh.Choose(func(ctx context.Context, _ struct{}) (string, error) {
		route, err := p.perform(ctx)
		return string(route), err
	})
}

// EffectTx is a step inside a transaction. Write, which may be nil, writes to the program's own tables before the script's
// outcome is known.
func EffectTx[TTx any](p *Plays, write func(ctx context.Context, tx TTx) error) squidmesh.Action {
	return squidmesh.EffectTx(func(ctx context.Context, tx TTx, _ struct{}) error {
		if write != nil {
			if err := write(ctx, tx); err != nil {
				return err
			}
		}
		_, err := p.perform(ctx)
		return err
	})
}

// perform is the body of every scripted function.
func (p *Plays) perform(ctx context.Context) (json.RawMessage, error) {
	info, _ := squidmesh.Info(ctx)
	key := flow.StepKey{Name: info.Step, Phase: info.Phase}
	if p.takeHold(key) {
		call := &heldCall{run: info.RunID, key: key, attempt: info.Attempt, goOn: make(chan bool)}
		p.entered <- call
		if released := <-call.goOn; released {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
	}
	next := p.next(key)
	if next.panics {
		panic(next.message)
	}
	if next.message != "" {
		return nil, next.err()
	}
	if next.route != "" {
		return json.RawMessage(next.route), nil
	}
	if next.echo {
		failure, _ := squidmesh.Failure(ctx)
		return echo(&failure), nil
	}
	return next.output, nil
}

// echo tells as an output what failure a step was told of.
func echo(failure *flow.StepError) json.RawMessage {
	if failure == nil {
		failure = &flow.StepError{}
	}
	output, err := json.Marshal(map[string]any{"failed": failure.Step, "code": failure.Code, "message": failure.Message})
	if err != nil {
		panic(err)
	}
	return output
}

// hold makes the next attempt stand still.
func (p *Plays) hold(key flow.StepKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds[key]++
}

func (p *Plays) takeHold(key flow.StepKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gated || p.holds[key] == 0 {
		return p.gated
	}
	p.holds[key]--
	return true
}

func (p *Plays) next(key flow.StepKey) play {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.outcomes[key]
	if len(list) == 0 {
		return play{}
	}
	p.outcomes[key] = list[1:]
	return list[0]
}

func (p *Plays) add(key flow.StepKey, list []play) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.outcomes[key] = append(p.outcomes[key], list...)
	if p.mirror != nil {
		p.mirror.add(key, list)
	}
}

// err is the error that a function returns.
func (o play) err() error {
	err := errors.New(o.message)
	switch {
	case o.final:
		return squidmesh.Fail(err)
	case o.after != nil:
		return squidmesh.RetryAfter(*o.after, err)
	case o.code != "":
		return squidmesh.WithCode(o.code, err)
	default:
		return err
	}
}

// parsePlays reads a list of outcomes.
func parsePlays(text string) ([]play, error) {
	var list []play
	for rest := strings.TrimSpace(text); rest != ""; {
		word, tail, _ := strings.Cut(rest, " ")
		word, ended := strings.CutSuffix(word, ",")
		if ended {
			tail = "," + tail
		}
		var next play
		var err error
		switch tail = strings.TrimSpace(tail); word {
		case "ok":
			if tail != "" && !strings.HasPrefix(tail, ",") {
				next.output, tail, err = cutJSON(tail)
			}
		case "echo":
			next.echo = true
		case "route":
			next.route, tail, err = cutWord(tail)
		case "fail", "final", "panic":
			next.final, next.panics = word == "final", word == "panic"
			next.message, tail, err = cutText(tail)
		case "after":
			var d string
			if d, tail, err = cutWord(tail); err == nil {
				var after time.Duration
				after, err = time.ParseDuration(d)
				next.after = &after
			}
			if err == nil {
				next.message, tail, err = cutText(tail)
			}
		case "code":
			if next.code, tail, err = cutWord(tail); err == nil {
				next.message, tail, err = cutText(tail)
			}
		default:
			err = fmt.Errorf("no outcome is called %q", word)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, next)
		tail = strings.TrimSpace(tail)
		if tail != "" && !strings.HasPrefix(tail, ",") {
			return nil, fmt.Errorf("outcomes are separated by commas: %q", tail)
		}
		rest = strings.TrimSpace(strings.TrimPrefix(tail, ","))
	}
	return list, nil
}

func cutWord(text string) (word, rest string, err error) {
	end := strings.IndexAny(text, " ,")
	if end < 0 {
		end = len(text)
	}
	if end == 0 {
		return "", "", fmt.Errorf("a word is missing before %q", text)
	}
	return text[:end], strings.TrimSpace(text[end:]), nil
}

func cutText(text string) (value, rest string, err error) {
	quoted, err := strconv.QuotedPrefix(text)
	if err != nil {
		return "", "", fmt.Errorf("a quoted text is missing before %q", text)
	}
	value, err = strconv.Unquote(quoted)
	return value, strings.TrimSpace(text[len(quoted):]), err
}

func cutJSON(text string) (value json.RawMessage, rest string, err error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	if err := decoder.Decode(&value); err != nil {
		return nil, "", fmt.Errorf("read JSON %q: %w", text, err)
	}
	return value, strings.TrimSpace(text[decoder.InputOffset():]), nil
}
