//go:build race

package main

// underRace says that the race detector looks on, at ten times the time.
const underRace = true
