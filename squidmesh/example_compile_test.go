package squidmesh_test

import (
	"context"
	"fmt"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

type parcel struct {
	ParcelID string  `json:"parcel_id"`
	Grams    float64 `json:"grams"`
}

type label struct {
	LabelURL string `json:"label_url"`
}

func price(context.Context, parcel) (out struct {
	Cents int `json:"cents"`
}, err error,
) {
	return out, nil
}

func pay(context.Context, struct {
	Cents int `json:"cent"`
},
) error {
	return nil
}

func choose(context.Context, parcel) (string, error) { return "light", nil }

func printLabel(context.Context, parcel) (label, error) { return label{}, nil }

func apologise(context.Context, parcel) error { return nil }

func hand(context.Context, struct{ label }) error { return nil }

func discard(context.Context, struct{ label }) error { return nil }

func callCourier(context.Context, struct{ parcel }) error { return nil }

// Compile reports everything that is wrong at once, each problem with its place and what was probably meant.
func ExampleCompile() {
	_, err := squidmesh.Compile(squidmesh.Workflow{
		Name: "ship",
		Triggers: []squidmesh.Trigger{
			squidmesh.Cron("nightly", "0 25 * * *", "", squidmesh.Payload[parcel](squidmesh.Defaults{"parcel_id": squidmesh.DefaultToday})),
		},
		Steps: []squidmesh.Step{
			{Name: "price", Do: squidmesh.Func(price), Next: "pya", Retry: squidmesh.Retry{MaxAttempts: -1}},
			{Name: "pay", Do: squidmesh.Effect(pay), Queue: "Slow Ones"},
		},
	})
	fmt.Println(err)
	// Output:
	// workflow "ship": trigger "nightly": Cron: end of range (25) above maximum (23): 25
	// workflow "ship": trigger "nightly": Payload: nobody gives a cron trigger its payload, so field "grams" needs a default
	// workflow "ship": step "price": Retry: MaxAttempts -1 is not from 0 to 1000
	// workflow "ship": step "pay": Queue: name "Slow Ones" is not [a-z0-9]+([_-][a-z0-9]+)* with at most 64 characters
	// workflow "ship": step "price": Next: there is no step "pya", did you mean "pay"?
	// workflow "ship": step "pay": Input: reads key "cent", which nothing writes, did you mean "cents"?
}

func ExampleSpec_Mermaid() {
	spec, err := squidmesh.Compile(squidmesh.Workflow{
		Name:     "ship",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("ship", squidmesh.Payload[parcel]())},
		Steps: []squidmesh.Step{
			{Name: "weigh", Do: squidmesh.Choose(choose), Routes: map[string]string{"light": "prepare", "heavy": "ask"}},
			{Name: "ask", Do: squidmesh.Approval(), Next: "prepare", OnError: squidmesh.Complete},
			{Name: "prepare", Next: "hand_over", OnError: "apologise", Parallel: []squidmesh.Step{
				{Name: "label", Do: squidmesh.Func(printLabel), Undo: squidmesh.Effect(discard)},
				{Name: "courier", Description: "by telephone", Do: squidmesh.Effect(callCourier), Irreversible: true},
			}},
			{Name: "hand_over", Do: squidmesh.Effect(hand)},
			{Name: "apologise", Do: squidmesh.Effect(apologise)},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(spec.Mermaid())
	// Output:
	// flowchart TD
	//     s_weigh{"weigh"}
	//     s_ask[/"ask<br/>approval"/]
	//     subgraph s_prepare["prepare"]
	//         s_label["label<br/>undo"]
	//         s_courier["courier<br/>by telephone<br/>irreversible"]
	//     end
	//     s_hand_over["hand_over"]
	//     s_apologise["apologise"]
	//     s_complete(["complete"])
	//     s_weigh -->|"heavy"| s_ask
	//     s_weigh -->|"light"| s_prepare
	//     s_ask --> s_prepare
	//     s_ask -.->|"rejected"| s_complete
	//     s_prepare --> s_hand_over
	//     s_prepare -.->|"error"| s_apologise
	//     s_hand_over --> s_complete
	//     s_apologise --> s_complete
}
