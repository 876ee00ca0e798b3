package flow

import (
	"strings"
)

// CronSpace begins the keys of runs that cron deliveries start. It is no printable character, so no caller's key begins with it.
// Nobody who chooses a key can take the place of a window's run, or keep that run from starting.
const CronSpace = "\x1f"

// CronKey is the idempotency key of the run that a signal starts.
func CronKey(trigger, signal string) string { return CronSpace + "cron:" + trigger + ":" + signal }

// CallersKey returns a run's key as callers know it. It is empty if a cron delivery started the run.
func CallersKey(key string) string {
	if strings.HasPrefix(key, CronSpace) {
		return ""
	}
	return key
}
