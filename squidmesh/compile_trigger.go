package squidmesh

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/internal/nearest"
	"github.com/squidmesh/squidmesh-go/internal/schedule"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// checkTriggers checks the triggers and compiles what can be made of them.
func (c *compiler) checkTriggers() {
	seen := map[string]bool{}
	for i, t := range c.workflow.Triggers {
		place := "trigger " + echo.Quote(t.Name)
		if t.Name == "" {
			place = fmt.Sprintf("trigger number %d", i+1)
		}
		c.checkName(place, t.Name)
		if seen[t.Name] {
			c.report("duplicate_name", place, "two triggers are named %s", echo.Quote(t.Name))
		}
		seen[t.Name] = true
		if _, err := time.LoadLocation(t.TimeZone); err != nil || t.TimeZone == "Local" {
			c.report("bad_time_zone", place+": TimeZone", "%s is not an IANA time zone that this machine knows; where it knows none, "+schedule.ZonesHint, echo.Quote(t.TimeZone))
		}
		spec := flow.TriggerSpec{
			Name: t.Name, Cron: t.Cron, TimeZone: t.TimeZone, Payload: c.payloadType(place, t.Payload),
			Missed: t.Missed, CatchUp: t.CatchUp, Overlap: t.Overlap,
		}
		spec.Defaults = c.compileDefaults(place+": Defaults", &spec, t.Payload)
		if t.Cron != "" || t.byClock {
			c.checkCron(place, spec)
		} else if t.Missed != "" || t.CatchUp != 0 || t.Overlap != "" {
			c.report("not_applicable", place, "Missed, CatchUp and Overlap are for cron triggers")
		}
		c.triggers = append(c.triggers, spec)
	}
}

func (c *compiler) checkCron(place string, t flow.TriggerSpec) {
	if _, err := schedule.Parse(t.Cron); err != nil {
		c.report("bad_cron", place+": Cron", "%v", err)
	}
	for _, f := range t.Payload.Fields {
		if _, ok := t.Defaults[f.Name]; f.Required && !ok {
			c.report("cron_needs_default", place+": Payload", "nobody gives a cron trigger its payload, so field %s needs a default", echo.Quote(f.Name))
		}
	}
	switch t.Missed {
	case MissedLatest, MissedSkip:
		if t.CatchUp != 0 {
			c.report("not_applicable", place+": CatchUp", "it is for Missed: MissedCatchUp")
		}
	case MissedCatchUp:
		if t.CatchUp < 1 || t.CatchUp > maxCatchUp {
			c.report("out_of_range", place+": CatchUp", "%d is not from 1 to %d", t.CatchUp, maxCatchUp)
		}
	default:
		c.report("bad_missed", place+": Missed", "there is no policy %s", echo.Quote(string(t.Missed)))
	}
	switch t.Overlap {
	case OverlapAllow, OverlapSkip, OverlapQueueOne:
	default:
		c.report("bad_overlap", place+": Overlap", "there is no policy %s", echo.Quote(string(t.Overlap)))
	}
}

func (c *compiler) payloadType(place string, contract Contract) jsontype.Type {
	if contract.typ == nil {
		return jsontype.Type{Kind: jsontype.Object}
	}
	read, written := jsontype.AsRead(contract.typ), jsontype.AsWritten(contract.typ)
	_ = c.checkFits(place+": Payload", contract.typ.String(), &read) && c.checkFits(place+": Payload", contract.typ.String(), &written)
	switch {
	case read.Kind == jsontype.Object && !read.Open && !read.Nullable:
		if _, reserved := read.Field("$sealed"); reserved {
			c.report("bad_key", place+": Payload", `the key "$sealed" is reserved for what a codec seals`)
		}
		return read
	case read.Kind != jsontype.None:
		c.report("payload_not_struct", place+": Payload", "%s is not a struct that encoding/json reads field by field", contract.typ)
	}
	return jsontype.Type{Kind: jsontype.Object}
}

// compileDefaults checks the defaults against the payload's fields and its type, and encodes the literal ones.
func (c *compiler) compileDefaults(place string, t *flow.TriggerSpec, contract Contract) Defaults {
	var compiled Defaults
	defaults, decodes := contract.defaults, contract.decodes()
	for _, key := range slices.Sorted(maps.Keys(defaults)) {
		f, ok := t.Payload.Field(key)
		if !ok {
			c.report("unknown_default", place, "the payload has no field %s%s", echo.Quote(key), nearest.Hint(key, t.Payload.Names()))
			continue
		}
		value, err := compileDefault(f, defaults[key])
		if err == nil {
			err = decodesDefault(*t, key, value, decodes)
		}
		if err != nil {
			c.report("bad_default", place, "field %s: %v", echo.Quote(key), err)
		}
		if compiled == nil {
			compiled = Defaults{}
		}
		compiled[key] = value
	}
	return compiled
}

func compileDefault(f jsontype.Field, value any) (any, error) {
	if dynamic, ok := value.(flow.DynamicDefault); ok {
		return dynamic, checkDynamic(f.Type, dynamic)
	}
	raw, err := encode.Safely(value)
	if err != nil {
		return nil, err
	}
	doc, problems := jsontype.Parse(raw)
	if len(problems) == 0 {
		problems = f.Type.Check(doc)
	}
	if len(problems) > 0 {
		return nil, problems[0]
	}
	return json.RawMessage(doc.Canonical()), nil
}

func checkDynamic(t jsontype.Type, dynamic flow.DynamicDefault) error {
	switch {
	case dynamic != DefaultNow && dynamic != DefaultToday:
		return fmt.Errorf("there is no dynamic default %s", echo.Quote(string(dynamic)))
	case t.Kind != jsontype.String || t.Format != "" && t.Format != jsontype.DateTime:
		return fmt.Errorf("a dynamic default is a string, the field is %s", t)
	case dynamic == DefaultToday && t.Format == jsontype.DateTime:
		return fmt.Errorf("the default Today is a date without a time: the field would need the type string, or the default Now")
	default:
		return nil
	}
}
