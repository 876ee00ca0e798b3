package flow

// What the properties ask of a run that programs do not.

// Enter adds an entry whose data has been read.
func (f *Folding) Enter(e AuditEntry, data AuditData) { f.enter(e, data) }

// Count is 1 for true.
func Count(b bool) int { return count(b) }

// Do is the row of a step itself.
func (s Snapshot) Do(name string) StepState { return s.Steps[StepKey{name, PhaseDo}] }

// TakenOverWithin is when an attempt of a silent worker is taken over at the latest.
const TakenOverWithin = takenOverWithin
