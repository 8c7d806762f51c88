//go:build race

package queue

// underRace says that the race detector is at work, with which SQLite is thirty times slower.
const underRace = true
