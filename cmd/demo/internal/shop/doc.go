// Package shop is a bookshop that sells real technical books across Europe at night. It has a catalogue, prices with VAT, a stock,
// a carrier and receipts, and three workflows that are written once and run on PostgreSQL and SQLite alike:
//
//   - checkout takes an order from validation to the receipt, and takes everything back if it cannot get there;
//   - refund pays a customer back after a person has agreed;
//   - nightly_digest adds up what was sold the day before.
//
// What the shop knows for certain is in its own tables, written by FuncTx steps in the same transaction as the step's checkpoint.
// What happens elsewhere, at the payment provider, is done by Func steps that give the step's idempotency key.
package shop
