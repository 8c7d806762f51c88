package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// reloading says since when, which a service manager of Type=notify-reload wants to know.
func reloading() string {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return ""
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", t.Nano()/1000)
}
