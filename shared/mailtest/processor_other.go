//go:build !unix

package mailtest

import "time"

var started = time.Now()

// ProcessorTime is the time since the start, where the system does not tell what a process has used.
func ProcessorTime() time.Duration { return time.Since(started) }
