package mailtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Memory is how many octets a process holds (its resident set). The test is skipped where the system does not tell.
func Memory(t testing.TB, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip("no /proc to read the memory of a process from")
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
