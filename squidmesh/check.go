package squidmesh

import (
	"context"
	"reflect"
)

// The limits of what is taken from callers, in bytes.
const (
	maxKey      = 255
	maxActor    = 200
	maxProcess  = 200
	maxComment  = 4 << 10
	maxMetadata = 16 << 10
)

// checkCall refuses a call whose context has ended, and one from a FuncTx body.
func checkCall(ctx context.Context) error {
	if err := outsideTx(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

// outsideTx refuses contexts of FuncTx bodies.
func outsideTx(ctx context.Context) error {
	if ctx.Value(insideTxKey{}) != nil {
		return ErrInsideTransaction
	}
	return nil
}

// checkJoin refuses a call that cannot join its caller's transaction.
func checkJoin(ctx context.Context, tx any) error {
	if v := reflect.ValueOf(tx); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return &InputError{Field: "tx", Code: "required", Detail: "is nil: begin a transaction, or use the method without Tx"}
	}
	return ctx.Err()
}
