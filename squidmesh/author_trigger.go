package squidmesh

// maxCatchUp bounds [Trigger.CatchUp].
const maxCatchUp = 1000
