package flow

import (
	"hash/fnv"
	"math"
	"strconv"
	"time"
)

// The limits of a definition. Runs hold one row per step, and every commit works on the definition as a whole.
const (
	MaxWait = 10 * 365 * 24 * time.Hour
)

// soonAgain spreads what comes again soon over 100 to 500 ms: whoever was the first to fetch it is not so every time.
var soonAgain = Retry{Base: 300 * time.Millisecond, Jitter: 2.0 / 3}

// Soon is the pause before a delivery comes again that a living worker elsewhere could take.
func Soon(now time.Time, seed ...string) time.Duration {
	return soonAgain.Delay(1, append(seed, now.Format(time.RFC3339Nano))...)
}

// Retry is the policy after a failed attempt. The zero value means one attempt, no more.
type Retry struct {
	// MaxAttempts counts the first attempt too. Attempts that were released or lost with their worker do not count.
	// Zero means 1.
	MaxAttempts int

	// Base is the delay after the first failure; it doubles with each further one. Zero retries at once; else it is at least a
	// millisecond.
	Base time.Duration

	// Max caps the delay. Zero means no cap but [MaxRetryDelay]; else it is at least a millisecond.
	Max time.Duration

	// Jitter spreads each delay evenly over [1-Jitter, 1+Jitter] of itself, so that what failed together does not come
	// back together. From 0 to 1; zero means none. The spread depends only on run, step and attempt.
	Jitter float64
}

// MaxRetryDelay is the longest delay before another attempt, ten years, as of a wait, whatever a policy comes to or [squidmesh.RetryAfter] says.
const MaxRetryDelay = MaxWait

// Exponential retries up to attempts-1 times, after base, 2*base, 4*base, ... but at most max, each spread by a tenth.
func Exponential(attempts int, base, max time.Duration) Retry {
	return Retry{MaxAttempts: attempts, Base: base, Max: max, Jitter: 0.1}
}

// Constant retries up to attempts-1 times, always after delay.
func Constant(attempts int, delay time.Duration) Retry {
	return Retry{MaxAttempts: attempts, Base: delay, Max: delay}
}

// grants reports whether another attempt may follow after so many failures.
func (r Retry) grants(failures int) bool {
	return failures < max(r.MaxAttempts, 1)
}

// Delay is the wait after the failures-th failure. The seed stands in for randomness, so that decisions can be repeated.
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

// unit maps a hash to [0, 1). FNV's low bits vary most, so they are mixed upwards first (the finaliser of MurmurHash3).
func unit(h uint64) float64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return float64(h>>11) / (1 << 53)
}
