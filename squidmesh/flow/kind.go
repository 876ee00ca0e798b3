package flow

// Kind says what sort of thing a step is.
type Kind string

// The kinds of steps. A block has Parallel children instead of an action.
const (
	KindFunc     Kind = "func"
	KindFuncTx   Kind = "func_tx"
	KindChoose   Kind = "choose"
	KindWait     Kind = "wait"
	KindLog      Kind = "log"
	KindPause    Kind = "pause"
	KindApproval Kind = "approval"
	KindBlock    Kind = "block"
)
