package main

import (
	"strings"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// orderOf is the order that a run is about: its key up to the night's name.
func orderOf(r squidmesh.Run) string {
	order, _, _ := strings.Cut(r.Key, "/")
	return order
}

// label is what people call a run: the order, and the workflow if it is not the checkout.
func label(r squidmesh.Run) string {
	if r.Workflow == "checkout" {
		return orderOf(r)
	}
	return strings.TrimSpace(orderOf(r) + " " + r.Workflow)
}
