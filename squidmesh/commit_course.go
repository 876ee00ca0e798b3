package squidmesh

import (
	"errors"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// course says what to do after one try of a transaction that records an event. The functions here find it from the error and the
// facts, and do nothing else. The loops that try only obey.
type course string

const (
	courseDone      course = "done"
	courseAgain     course = "again"      // after a pause
	courseInsist    course = "insist"     // again after a pause, and an operator hears of it
	courseJobsLater course = "jobs later" // again after a pause, without the executor: the tick sends the jobs
	courseStay      course = "stay"       // again at once; the worker does not go on with a successor
	courseRefuse    course = "refuse"     // what was asked for cannot be written, now or later
	courseGiveUp    course = "give up"    // the caller gets the error, and may ask again

	// Of the end of an attempt in a transaction of its own.
	courseBare course = "bare" // again at once, without what the database cannot store

	// Of a FuncTx body's transaction. It was rolled back in all of these cases.
	courseStale   course = "stale"    // nothing to record: the attempt is not the current one
	courseRepeat  course = "repeat"   // the body runs again within its attempt
	courseRelease course = "release"  // the attempt is given back
	courseAlone   course = "alone"    // the body's failure is recorded without its writes
	courseTxEnded course = "tx ended" // the body ended the transaction, which is its failure
)

// memberTry is what is known of a member after a try of a transaction of its own.
type memberTry struct {
	event   flow.Traits
	over    bool // the caller has no more time
	last    bool // of the tries on behalf of a caller who waits
	refused bool // the event was
	bare    bool // it brings nothing any more
}

// course says what to do about a member after a try that ended with err. The end of an attempt, which nobody else will report, is
// tried until it is written.
func (t memberTry) course(store driver.StoreTraits, err error) course {
	owed := t.event.Ends && !t.event.Swept // the attempt has ended and nobody else will say so: tried until it is written
	switch {
	case errors.Is(err, errElsewhere):
		return courseAgain
	case silent(err) && !t.over && !t.event.Swept:
		return courseAgain // until the caller has no more time
	case err == nil:
		return courseDone // a swept member whose run is locked elsewhere has led to nothing
	case t.over:
		return courseGiveUp
	case errors.Is(err, ErrUnreadable) && t.event.GoesOn():
		return courseStay // the step has ended; somebody else may be able to open what the next one needs
	case errors.Is(err, errNotCommitted), errors.Is(err, ErrSeal) && t.event.Ends, store.Transient(err):
		return t.courseOfPassing(owed)
	case errors.Is(err, ErrDispatch) && t.event.MustBeKnown():
		return courseJobsLater // the step has ended, and that must not be lost
	case t.refused || !owed:
		return courseRefuse
	case unstorable(store, err) && !t.bare:
		return courseBare
	default:
		return courseInsist
	}
}

// courseOfPassing says what to do after an error that may pass.
func (t memberTry) courseOfPassing(owed bool) course {
	switch {
	case !t.last:
		return courseAgain
	case owed:
		return courseInsist
	default:
		return courseGiveUp
	}
}

// course says what to do about a FuncTx body's attempt after a try of its transaction that ended with err.
//
// If a body returned well and its writes are rolled back, it runs again. Each way to that has a bound (promise 8):
//
//   - An executor that broke the transaction is not asked again within the attempt.
//   - An error that may pass gives the attempt back. Decide makes it wait ever longer, and in the end counts a failure.
//   - Any other error is a failed attempt, which the step's Retry counts.
func (t *bodyTry) course(store driver.StoreTraits, err error) course {
	switch {
	case err == nil:
		return courseDone
	case errors.Is(err, errStale):
		return courseStale
	case t.over:
		return courseGiveUp
	case errors.Is(err, ErrUnreadable) && t.event != nil && flow.TraitsOf(t.event).GoesOn():
		return courseStay // the body runs again, and whoever can open what the next step needs goes on
	case errors.Is(err, errRepeat):
		return courseRepeat
	case silent(err) && !t.ran:
		return courseAgain // on another connection
	case silent(err) && !t.failed:
		return courseRelease
	case errors.Is(err, ErrTransactionEnded):
		return courseTxEnded
	case !t.begun:
		return courseAgain
	case t.result.err != nil:
		return courseAlone // it could not be recorded beside the body's writes
	case errors.Is(err, ErrDispatch) && !t.stopped && !t.undispatched:
		return courseJobsLater
	case errors.Is(err, errNotCommitted), errors.Is(err, ErrSeal), store.Transient(err):
		return courseRelease
	default:
		return courseRefuse
	}
}
