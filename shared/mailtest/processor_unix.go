//go:build unix

package mailtest

import (
	"syscall"
	"time"
)

// ProcessorTime is what this process has used of its processors. A test that guards an order of magnitude (work that
// grows with the square of its input) measures with it: what others do on the machine does not count.
func ProcessorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
