package main

import (
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1s", time.Millisecond: "1s", 59 * time.Second: "59s", time.Minute: "1m", 61 * time.Second: "1m 1s", 10*time.Minute - time.Millisecond: "10m",
		time.Hour: "1h", time.Hour + time.Second: "1h", 60 * time.Hour: "2d 12h", 5*24*time.Hour + 3*time.Hour + time.Minute: "5d 3h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
