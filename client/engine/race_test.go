//go:build race

package engine

// underRace says that the race detector is at work, which makes everything ten times slower. What it looks for does not
// depend on how many messages there are.
const underRace = true
