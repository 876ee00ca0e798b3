package riveradapter

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/riverqueue/river/riverdriver"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// insertTopic is what River's producers listen to for new jobs, within the schema of their tables.
const insertTopic = "river_insert"

// Wake implements [driver.Waker]. It tells River's producers to fetch at once. River itself notifies at most once per cooldown, and
// when a job is inserted rather than when it is committed, so many jobs would wait for a poll.
//
// River has no public call for this, so Wake does what River's own inserts do. It uses the client's driver, which knows the schema
// and whether the database notifies by itself or by a table. A driver without a pool cannot do that, so there notify sends the same
// message.
func (e *Executor[TTx]) Wake(ctx context.Context, notify driver.NotifyFunc, queues []string) error {
	client, err := e.use(ctx)
	if err != nil {
		return err
	}
	payloads := make([]string, len(queues))
	for i, queue := range queues {
		payloads[i] = fmt.Sprintf(`{"queue": %q}`, queue)
	}
	driver := client.Driver()
	if driver.PoolIsSet() {
		err := driver.GetExecutor().NotifyMany(ctx, &riverdriver.NotifyManyParams{
			Payload: payloads, Schema: client.Schema(), Topic: insertTopic,
		})
		if err != nil {
			return fmt.Errorf("notify River of queues %q: %w", queues, err)
		}
		return nil
	}
	channel := cmp.Or(client.Schema(), "public") + "." + insertTopic
	if driver.DatabaseName() == riverdriver.DatabaseNameSQLite {
		channel = insertTopic
	}
	var errs []error
	for _, payload := range payloads {
		errs = append(errs, notify(ctx, channel, payload))
	}
	return errors.Join(errs...)
}
