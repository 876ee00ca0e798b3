package squidmesh

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Errors as a store, or a transaction that was given up, answers.
var (
	errDeadlock = errors.New("deadlock")
	errBadText  = errors.New("text that the database cannot store")
	errBroken   = errors.New("a deferred constraint")
	errNoAnswer = fmt.Errorf("%w: no answer", errSilent)
	errUnsealed = fmt.Errorf("%w: key is away", ErrSeal)
	errClosed   = fmt.Errorf("%w: key is gone", ErrUnreadable)
	errNoQueue  = fmt.Errorf("%w: no such queue", ErrDispatch)
)

var courseTraits = driver.StoreTraits{
	Transient:  func(err error) bool { return errors.Is(err, errDeadlock) },
	Unstorable: func(err error) bool { return errors.Is(err, errBadText) },
}

func TestCourse_OfAMember(t *testing.T) {
	t.Parallel()
	goingOn := flow.Attempted{Runnable: map[flow.StepKey]bool{}}
	var (
		claim     = flow.TraitsOf(flow.Claimed{})
		success   = flow.TraitsOf(flow.Succeeded{})
		goesOn    = flow.TraitsOf(flow.Succeeded{Attempted: goingOn})
		start     = flow.TraitsOf(flow.Started{})
		command   = flow.TraitsOf(flow.Cancelled{})
		loss      = flow.TraitsOf(flow.Lost{})
		redeliver = flow.TraitsOf(flow.Redelivered{})
	)
	for name, tt := range map[string]struct {
		try  memberTry
		err  error
		want course
	}{
		"written": {memberTry{event: claim}, nil, courseDone},
		"written when the caller had no more time": {memberTry{event: claim, over: true}, nil, courseDone},
		"its run is locked elsewhere":              {memberTry{event: claim}, errElsewhere, courseAgain},
		"its run is locked elsewhere to the last":  {memberTry{event: command, last: true}, errElsewhere, courseAgain},
		"no answer":                                     {memberTry{event: start}, errNoAnswer, courseAgain},
		"no answer, ever":                               {memberTry{event: success, last: true}, errNoAnswer, courseAgain},
		"no answer, and no more time":                   {memberTry{event: success, over: true}, errNoAnswer, courseGiveUp},
		"no answer to a tick":                           {memberTry{event: redeliver}, errNoAnswer, courseRefuse},
		"no answer to a COMMIT":                         {memberTry{event: start}, fmt.Errorf("%w: %w", ErrCommitUnknown, errNoAnswer), courseRefuse},
		"no more time":                                  {memberTry{event: success, over: true}, errDeadlock, courseGiveUp},
		"no more time for what cannot be stored":        {memberTry{event: command, over: true}, errBadText, courseGiveUp},
		"the next input cannot be opened":               {memberTry{event: goesOn}, errClosed, courseStay},
		"a deadlock of an end that goes on":             {memberTry{event: goesOn}, errDeadlock, courseAgain},
		"an input cannot be opened":                     {memberTry{event: claim}, errClosed, courseRefuse},
		"it cannot be opened and nobody goes on":        {memberTry{event: success}, errClosed, courseInsist},
		"a deadlock":                                    {memberTry{event: start}, errDeadlock, courseAgain},
		"the last deadlock of a caller":                 {memberTry{event: start, last: true}, errDeadlock, courseGiveUp},
		"the last deadlock of a claim":                  {memberTry{event: claim, last: true}, errDeadlock, courseGiveUp},
		"the last deadlock of a take-over":              {memberTry{event: loss, last: true}, errDeadlock, courseGiveUp},
		"one deadlock more of an end":                   {memberTry{event: success, last: true}, errDeadlock, courseInsist},
		"a COMMIT without effect":                       {memberTry{event: command}, errNotCommitted, courseAgain},
		"an end cannot be sealed":                       {memberTry{event: success}, errUnsealed, courseAgain},
		"a take-over cannot be sealed":                  {memberTry{event: loss}, errUnsealed, courseAgain},
		"a start cannot be sealed":                      {memberTry{event: start}, errUnsealed, courseRefuse},
		"an executor refuses the successors":            {memberTry{event: success}, errNoQueue, courseJobsLater},
		"an executor refuses a claim's jobs":            {memberTry{event: claim}, errNoQueue, courseJobsLater},
		"an executor refuses a start's jobs":            {memberTry{event: start}, errNoQueue, courseRefuse},
		"an executor meets a deadlock":                  {memberTry{event: success}, fmt.Errorf("%w: %w", ErrDispatch, errDeadlock), courseAgain},
		"an end is refused":                             {memberTry{event: success, refused: true}, ErrUnknownShape, courseRefuse},
		"an end is refused for what cannot be stored":   {memberTry{event: success, refused: true}, errBadText, courseRefuse},
		"a start has what cannot be stored":             {memberTry{event: start}, errBadText, courseRefuse},
		"a take-over has what cannot be stored":         {memberTry{event: loss}, errBadText, courseRefuse},
		"an end has what cannot be stored":              {memberTry{event: success}, errBadText, courseBare},
		"an end has it though it brings nothing":        {memberTry{event: success, bare: true}, errBadText, courseInsist},
		"the database refuses an end":                   {memberTry{event: success}, errBroken, courseInsist},
		"the database refuses a claim":                  {memberTry{event: claim}, errBroken, courseRefuse},
		"the database refuses a take-over":              {memberTry{event: loss}, errBroken, courseRefuse},
		"the database refuses a command, the last time": {memberTry{event: command, last: true}, errBroken, courseRefuse},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.try.course(courseTraits, tt.err))
		})
	}
}

func TestCourse_OfABody(t *testing.T) {
	t.Parallel()
	var (
		well   = bodyTry{begun: true, ran: true, event: flow.Succeeded{}}
		goesOn = bodyTry{begun: true, ran: true, event: flow.Succeeded{Attempted: flow.Attempted{Runnable: map[flow.StepKey]bool{}}}}
		failed = bodyTry{begun: true, ran: true, failed: true, result: stepResult{err: errBroken}, event: flow.Failed{}}
		// The body returned well, its savepoint was not released.
		undone = bodyTry{begun: true, ran: true, result: stepResult{err: errBroken}, event: flow.Failed{}}
	)
	is := func(t bodyTry, change func(*bodyTry)) bodyTry {
		change(&t)
		return t
	}
	over := func(t *bodyTry) { t.over = true }
	for name, tt := range map[string]struct {
		try  bodyTry
		err  error
		want course
	}{
		"written": {well, nil, courseDone},
		"written when whoever performs had no time":  {is(well, over), nil, courseDone},
		"a failure is written":                       {failed, nil, courseDone},
		"taken over meanwhile":                       {well, errStale, courseStale},
		"taken over, and no more time":               {is(well, over), errStale, courseStale},
		"no more time":                               {is(well, over), errDeadlock, courseGiveUp},
		"no more time to repeat":                     {is(failed, over), errRepeat, courseGiveUp},
		"the next input cannot be opened":            {goesOn, errClosed, courseStay},
		"a deadlock of a body that goes on":          {goesOn, errDeadlock, courseRelease},
		"it cannot be opened and nobody goes on":     {well, errClosed, courseRefuse},
		"it cannot be opened before there is an end": {bodyTry{begun: true}, errClosed, courseRefuse},
		"the body is to run again":                   {failed, fmt.Errorf("%w: %w", errRepeat, errDeadlock), courseRepeat},
		"it is, though it got no answer":             {well, fmt.Errorf("%w: %w", errRepeat, errNoAnswer), courseRepeat},
		"no answer before the body ran":              {bodyTry{begun: true}, errNoAnswer, courseAgain},
		"no answer to begin":                         {bodyTry{}, errNoAnswer, courseAgain},
		"no answer after a body that returned well":  {well, errNoAnswer, courseRelease},
		"no answer to the release of a savepoint":    {undone, errNoAnswer, courseRelease},
		"no answer after a body that failed":         {failed, errNoAnswer, courseAlone},
		"the body ended the transaction":             {well, ErrTransactionEnded, courseTxEnded},
		"it ended the transaction and failed":        {failed, ErrTransactionEnded, courseTxEnded},
		"the transaction did not begin":              {bodyTry{}, errBroken, courseAgain},
		"a deadlock at its beginning":                {bodyTry{}, errDeadlock, courseAgain},
		"a failure cannot be recorded beside":        {failed, errBroken, courseAlone},
		"a failure meets a deadlock":                 {failed, errDeadlock, courseAlone},
		"a failure whose jobs are refused":           {failed, errNoQueue, courseAlone},
		"the executor broke the transaction":         {well, errNoQueue, courseJobsLater},
		"it did, of a step that was told to stop":    {is(well, func(t *bodyTry) { t.stopped = true }), errNoQueue, courseRefuse},
		"it did, though it was not asked":            {is(well, func(t *bodyTry) { t.undispatched = true }), errNoQueue, courseRefuse},
		"a COMMIT without effect":                    {well, errNotCommitted, courseRelease},
		"the end cannot be sealed":                   {well, errUnsealed, courseRelease},
		"a deadlock":                                 {well, errDeadlock, courseRelease},
		"the database refuses what was written":      {well, errBroken, courseRefuse},
		"the database cannot store the result":       {well, errBadText, courseRefuse},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.try.course(courseTraits, tt.err))
		})
	}
}
