package flow

import (
	"strings"
)

// CronSpace begins the keys of the runs that cron deliveries start. No caller's key has it, since it is no printable character, so
// nobody who chooses a key can take the place of a window's run or keep it from starting.
const CronSpace = "\x1f"

// CronKey is the idempotency key of the run that a signal starts.
func CronKey(trigger, signal string) string { return CronSpace + "cron:" + trigger + ":" + signal }

// CallersKey is a run's key as far as callers know it: none, if a cron delivery started the run.
func CallersKey(key string) string {
	if strings.HasPrefix(key, CronSpace) {
		return ""
	}
	return key
}
