package flow

import (
	"hash/fnv"
	"math"
	"strconv"
	"time"
)

// MaxWait is the longest pause of a run that a definition can ask for: ten years.
const MaxWait = 10 * 365 * 24 * time.Hour

// Retry is the policy after a failed attempt. The zero value means one attempt.
type Retry struct {
	// MaxAttempts is how many attempts there are, the first one included. Attempts that were released, or lost with their worker,
	// do not count. Zero means 1.
	MaxAttempts int

	// Base is the delay after the first failure. It doubles with each further failure. Zero retries at once; any other value is at
	// least a millisecond.
	Base time.Duration

	// Max caps the delay. Zero means that only [MaxRetryDelay] does; any other value is at least a millisecond.
	Max time.Duration

	// Jitter spreads each delay evenly over [1-Jitter, 1+Jitter] of itself, so that steps which failed together do not come back
	// together. It is from 0 to 1; zero means no spread. The spread depends only on run, step and attempt.
	Jitter float64
}

// MaxRetryDelay is the longest delay before another attempt: ten years, as for a wait. It caps policies and [squidmesh.RetryAfter].
const MaxRetryDelay = MaxWait

// Exponential allows that many attempts, with pauses of base, 2*base, 4*base and so on, up to max. Each pause is spread by a tenth.
func Exponential(attempts int, base, max time.Duration) Retry {
	return Retry{MaxAttempts: attempts, Base: base, Max: max, Jitter: 0.1}
}

// Constant allows that many attempts, with a pause of delay between them.
func Constant(attempts int, delay time.Duration) Retry {
	return Retry{MaxAttempts: attempts, Base: delay, Max: delay}
}

// grants reports whether another attempt may follow after so many failures.
func (r Retry) grants(failures int) bool {
	return failures < max(r.MaxAttempts, 1)
}

// Delay is the pause after that many failures. The seed takes the place of randomness, so that decisions can be repeated.
func (r Retry) Delay(failures int, seed ...string) time.Duration {
	d := float64(r.Base) * math.Pow(2, float64(failures-1))
	if r.Max > 0 {
		d = math.Min(d, float64(r.Max))
	}
	if r.Jitter > 0 {
		h := fnv.New64a()
		for _, s := range append(seed, strconv.Itoa(failures)) {
			_, _ = h.Write([]byte(s))
			_, _ = h.Write([]byte{0})
		}
		d *= 1 + r.Jitter*(2*unit(h.Sum64())-1)
	}
	return time.Duration(math.Min(d, float64(MaxRetryDelay)))
}

// DefaultMaxLosses is how many workers may die with a step before the step fails for good, unless its policy says fewer.
const DefaultMaxLosses = 5

// lossDelays are the pauses after the first, second and further lost attempts (promise 8). They grow, so that a step which only
// shared a process with a killer gets apart from it.
var lossDelays = [DefaultMaxLosses - 1]time.Duration{0, time.Second, 4 * time.Second, 15 * time.Second}

// maxReleases is at which release a step's attempt counts as failed. With releaseDelays it takes about an hour to get there.
const maxReleases = 20

// releaseDelays are the pauses before an attempt that was given back begins anew, from the second time on.
var releaseDelays = Retry{Base: time.Second, Max: 5 * time.Minute}

// soonAgain spreads deliveries that come again soon over 100 to 500 ms, so that not always the same process fetches them first.
var soonAgain = Retry{Base: 300 * time.Millisecond, Jitter: 2.0 / 3}

// Soon is the pause before a delivery comes again if a living worker elsewhere could take it.
func Soon(now time.Time, seed ...string) time.Duration {
	return soonAgain.Delay(1, append(seed, now.Format(time.RFC3339Nano))...)
}

// unit maps a hash to [0, 1). FNV's low bits vary most, so they are mixed upwards first (the finaliser of MurmurHash3).
func unit(h uint64) float64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return float64(h>>11) / (1 << 53)
}
