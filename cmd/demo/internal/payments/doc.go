// Package payments is a card payment provider: an HTTP server on the local machine that speaks the shape of a real card API
// (payment intents that are authorized, captured, cancelled and refunded; Idempotency-Key; 402 with a decline code, 429 with
// Retry-After, 5xx, slow answers, answers that never arrive), and the client that a shop would use to talk to one.
//
// Like the sandboxes of real providers it decides by the published test card numbers what becomes of a payment, and by a
// metadata key how it misbehaves. What it has done is in a ledger on disk, so that killing the process loses no payment and
// forgets no idempotency key.
package payments
