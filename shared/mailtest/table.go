package mailtest

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// Table is what a benchmark prints: a line for a measurement, and its ratio to the line it names.
type Table struct{ rows [][4]string }

// Add adds a line, and says it to who waits.
func (t *Table) Add(what, value, ratio, against string) {
	t.rows = append(t.rows, [4]string{what, value, ratio, against})
	fmt.Fprintln(os.Stderr, what, value, ratio, against)
}

// Rates adds our messages a second beside theirs, which may be 0 for none.
func (t *Table) Rates(what string, ours, theirs float64, against string) {
	ratio := ""
	if theirs > 0 {
		ratio = fmt.Sprintf("%.2f", ours/theirs)
	}
	t.Add(what, fmt.Sprintf("%.0f messages/s", ours), ratio, against)
}

// Print prints all lines.
func (t *Table) Print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\nmeasured\tvalue\tratio\tto")
	for _, r := range t.rows {
		fmt.Fprintln(tw, strings.Join(r[:], "\t"))
	}
	tw.Flush()
}
