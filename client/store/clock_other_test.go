//go:build !unix

package store

import "time"

var started = time.Now()

func cpu() time.Duration { return time.Since(started) }
