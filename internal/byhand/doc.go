// Package byhand has what a test turns by hand to run workflows: a clock that stands still, a queue whose jobs are taken one by one, and a
// process that can be made to die at a commit. The kit for users and the player of scenarios stand on it.
package byhand
