// Package standin lets a test put something in the place of a step's function, without changing the workflow. What stands in travels
// with the context of a delivery, so programs as they are shipped, which give none, call their functions.
package standin

import "context"

// Call calls the function that is stood in for, with the attempt's input, and returns its encoded output and the route of a choice.
type Call func() (output []byte, route string, err error)

// Func is called instead, with the context of the attempt.
type Func func(ctx context.Context, call Call) (output []byte, route string, err error)

type key struct{}

// With gives the steps that are executed under a context what stands in for their functions.
func With(ctx context.Context, f Func) context.Context { return context.WithValue(ctx, key{}, f) }

// Invoke calls what stands in for a function; without that, the function itself.
func Invoke(ctx context.Context, call Call) ([]byte, string, error) {
	if f, ok := ctx.Value(key{}).(Func); ok {
		return f(ctx, call)
	}
	return call()
}
