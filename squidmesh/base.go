package squidmesh

import (
	"log/slog"
	"maps"
	"slices"
)

// base is what New fixes and every part reads: the database, the configuration with its defaults, and what was compiled of the workflows.
// Nobody changes it, so it needs no lock.
type base[TTx any] struct {
	database[TTx]
	config   Config[TTx]
	registry *registry
	redact   redactor
	logger   *slog.Logger // redacts
}

// workflows are the specs of the registered workflows, by name.
func (b *base[TTx]) workflows() []*Spec {
	specs := make([]*Spec, 0, len(b.registry.specs))
	for _, name := range slices.Sorted(maps.Keys(b.registry.specs)) {
		specs = append(specs, b.registry.specs[name])
	}
	return specs
}

// queues are the names of all queues that the registered workflows use.
func (b *base[TTx]) queues() []string {
	seen := map[string]bool{b.config.Queue: true}
	for _, spec := range b.registry.specs {
		for i := range spec.Steps() {
			if q := spec.Steps()[i].Policy.Queue; q != "" {
				seen[q] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
