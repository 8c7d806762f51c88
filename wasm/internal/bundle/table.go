package bundle

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Table writes the sizes of the files, in bytes, and their sum: what the first load costs.
func (r *Result) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "file\traw\tgzip\tbrotli\t")
	var raw, gz, br int
	for _, f := range r.Files {
		g, b := sent(f.Gzip, f.Content), sent(f.Brotli, f.Content)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t\n", f.Source, grouped(len(f.Content)), grouped(g), grouped(b))
		raw, gz, br = raw+len(f.Content), gz+g, br+b
	}
	fmt.Fprintf(t, "all of version %s\t%s\t%s\t%s\t\n", r.Version, grouped(raw), grouped(gz), grouped(br))
	return t.Flush()
}

// sent is how many bytes go out: the variant's, or the file's own.
func sent(variant, content []byte) int {
	if variant != nil {
		return len(variant)
	}
	return len(content)
}

// grouped writes 1234567 as 1,234,567.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
