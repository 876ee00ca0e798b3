// Package difference says where a run is not what its audit adds up to. Only tests ask.
package difference

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// told is what the audit tells of a run.
func told(s flow.Snapshot) flow.Snapshot {
	s.WorkerLost = false
	s.Run.KeyHash, s.Run.Payload = "", nil
	s.Steps = maps.Clone(s.Steps)
	for key, row := range s.Steps {
		row.JobID, row.Queue = "", ""
		if !row.DueAt.After(s.Run.LastAt) {
			row.DueAt = time.Time{}
		}
		if row.Status != flow.StepPaused {
			row.DeadlineAt = time.Time{}
		}
		s.Steps[key] = row
	}
	return s
}

// Of says where a run is not what its audit adds up to.
func Of(stored, folded flow.Snapshot) string {
	stored, folded = told(stored), told(folded)
	if want, got := asText(stored.Run), asText(folded.Run); want != got {
		return fmt.Sprintf("the run is %s, its audit says %s", want, got)
	}
	for key, row := range stored.Steps {
		if row != folded.Steps[key] {
			return fmt.Sprintf("%v is %+v, the audit says %+v", key, row, folded.Steps[key])
		}
	}
	if len(stored.Steps) != len(folded.Steps) {
		return fmt.Sprintf("there are %d rows, the audit says %d", len(stored.Steps), len(folded.Steps))
	}
	return ""
}

func asText(run flow.Run) string {
	data, err := json.Marshal(run)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
