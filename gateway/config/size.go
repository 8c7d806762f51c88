package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units of sizes, by the letters that a person writes.
var units = []struct {
	suffix string
	octets int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}}

// Size reads a number of octets such as 500MB; "none" is no limit, 0.
func Size(text string) (int64, error) {
	if text == "none" {
		return 0, nil
	}
	number, unit := text, int64(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(text, u.suffix); ok {
			number, unit = n, u.octets
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is not a size, such as 500MB, 2GB or none", text)
	}
	return n * unit, nil
}

// exactSize is what Size reads.
func exactSize(octets int64) string {
	if octets == 0 {
		return "none"
	}
	best := strconv.FormatInt(octets, 10)
	for _, u := range units {
		if s := strconv.FormatInt(octets/u.octets, 10) + u.suffix; octets%u.octets == 0 && len(s) < len(best) {
			best = s
		}
	}
	return best
}
