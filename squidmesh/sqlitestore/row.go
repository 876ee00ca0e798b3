package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// How Go values stand in columns: times as microseconds since 1970, ids and JSON as text; what is zero in Go is null.

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// instant reads micros.
type instant struct{ *time.Time }

func (i instant) Scan(value any) error {
	us, ok := value.(int64)
	if !ok {
		return fmt.Errorf("time: %T is not an integer", value)
	}
	*i.Time = time.Time{}
	if us != 0 {
		*i.Time = time.UnixMicro(us).UTC()
	}
	return nil
}

// text is a JSON document; nil for none.
func text(data json.RawMessage) any {
	if len(data) == 0 {
		return nil
	}
	return string(data)
}

// document reads text.
type document struct{ *json.RawMessage }

func (d document) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*d.RawMessage = nil
	case string:
		*d.RawMessage = json.RawMessage(v)
	default:
		return fmt.Errorf("document: %T is not text", value)
	}
	return nil
}

// texts reads a JSON array of texts.
type texts struct{ list *[]string }

func (t texts) Scan(value any) error {
	v, ok := value.(string)
	if !ok {
		return fmt.Errorf("texts: %T is not text", value)
	}
	return json.Unmarshal([]byte(v), t.list)
}

// failure is the document of a recorded failure; nil for none.
func failure(e *flow.StepError) any {
	if e == nil {
		return nil
	}
	data, err := encode.JSON(e)
	if err != nil {
		panic(fmt.Sprintf("encode StepError: %v", err)) // it has no field that could fail
	}
	return string(data)
}

// parseFailure reads failure.
func parseFailure(data json.RawMessage) (*flow.StepError, error) {
	if data == nil {
		return nil, nil
	}
	e := &flow.StepError{}
	return e, json.Unmarshal(data, e)
}

// optional is an id; nil for none.
func optional(id flow.RunID) any {
	if id == uuid.Nil {
		return nil
	}
	return id.String()
}

// list is a JSON array, as json_each takes it.
func list(values any) (string, error) {
	data, err := json.Marshal(values)
	return string(data), err
}

// query reads all rows of a statement.
func query[Row any](ctx context.Context, tx *sql.Tx, scan func(*sql.Rows) (Row, error), statement string, args ...any) ([]Row, error) {
	rows, err := tx.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Row
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// scanRun reads the columns Run and the payload.
func scanRun(rows *sql.Rows) (flow.Run, error) {
	var run flow.Run
	var reason json.RawMessage
	err := rows.Scan(&run.ID, &run.Workflow, &run.Trigger, &run.Shape, &run.Key, &run.KeyHash, instant{&run.WindowAt},
		instant{&run.WindowEnd}, instant{&run.ReceivedAt}, &run.SignalID, &run.ReplayedFrom, instant{&run.CreatedAt},
		&run.Status, &run.Verdict, &run.Compensate, &run.Version, &run.Seq,
		instant{&run.LastAt}, &run.Open, &run.Retrying, document{&reason}, instant{&run.FinishedAt}, document{&run.Payload})
	if err != nil {
		return flow.Run{}, err
	}
	run.Reason, err = parseFailure(reason)
	return run, err
}

// scanStep reads the columns Step.
func scanStep(rows *sql.Rows) (flow.StepState, error) {
	var st flow.StepState
	err := rows.Scan(&st.Run, &st.Name, &st.Phase, &st.Status, &st.Attempt, &st.Failures, &st.Losses, &st.Missing, &st.DoneSeq,
		&st.Worker, instant{&st.DueAt}, instant{&st.DeadlineAt}, instant{&st.StartedAt}, instant{&st.FinishedAt}, &st.Cause, &st.JobID,
		&st.Queue)
	return st, err
}
