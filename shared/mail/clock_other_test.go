//go:build !unix

package mail

import "time"

var started = time.Now()

func cpu() time.Duration { return time.Since(started) }
