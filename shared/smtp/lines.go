package smtp

import (
	"bytes"
	"io"
)

// copyLines copies content to w with every line end made CRLF: a lone CR, a lone LF and CRLF are one line end each. It
// tells progress, if not nil, the octets written so far.
func copyLines(w io.Writer, r io.Reader, progress func(int64)) (int64, error) {
	var (
		in      = make([]byte, 32<<10)
		out     = make([]byte, 0, 2*len(in))
		afterCR bool // the last octet read was a CR, already written as CRLF
		total   int64
		empty   int
	)
	for {
		n, rerr := r.Read(in)
		if n < 0 || n > len(in) {
			return total, io.ErrNoProgress
		}
		out = out[:0]
		for p := in[:n]; len(p) > 0; {
			if afterCR && p[0] == '\n' {
				p = p[1:]
				afterCR = false
				continue
			}
			afterCR = false
			i := bytes.IndexAny(p, "\r\n")
			if i < 0 {
				out = append(out, p...)
				break
			}
			out = append(append(out, p[:i]...), '\r', '\n')
			afterCR = p[i] == '\r'
			p = p[i+1:]
		}
		if len(out) > 0 {
			m, err := w.Write(out)
			total += int64(m)
			if err != nil {
				return total, err
			}
			if progress != nil {
				progress(total)
			}
		}
		if rerr == io.EOF {
			return total, nil
		}
		if rerr != nil {
			return total, rerr
		}
		if empty++; n > 0 {
			empty = 0
		} else if empty > 100 {
			return total, io.ErrNoProgress
		}
	}
}
