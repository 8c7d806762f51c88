//go:build !unix

package sanitize

import "time"

var started = time.Now()

func cpu() time.Duration { return time.Since(started) }
