package smtp

import (
	"bytes"
	"io"
)

// copyLines copies content to w with every line end made CRLF: a lone CR, a lone LF and CRLF are one line end each, and the
// last line has one. No write ends between CR and LF. It tells progress, if not nil, the octets written so far.
func copyLines(w io.Writer, r io.Reader, progress func(int64)) (int64, error) {
	var (
		in      = make([]byte, 32<<10)
		out     = make([]byte, 0, 2*len(in))
		afterCR bool // the last octet read was a CR, already written as CRLF
		midLine bool // the last octet written was no line end
		total   int64
		empty   int
	)
	write := func() error {
		m, err := w.Write(out)
		total += int64(m)
		if err == nil && progress != nil {
			progress(total)
		}
		return err
	}
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
			i := lineEnd(p)
			if i < 0 {
				out = append(out, p...)
				break
			}
			out = append(append(out, p[:i]...), '\r', '\n')
			afterCR = p[i] == '\r'
			p = p[i+1:]
		}
		if len(out) > 0 {
			midLine = out[len(out)-1] != '\n'
			if err := write(); err != nil {
				return total, err
			}
		}
		if rerr == io.EOF {
			if midLine {
				out = append(out[:0], '\r', '\n')
				return total, write()
			}
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

// lineEnd answers where the first CR or LF is, or -1.
func lineEnd(p []byte) int {
	lf := bytes.IndexByte(p, '\n')
	if lf >= 0 {
		p = p[:lf]
	}
	if cr := bytes.IndexByte(p, '\r'); cr >= 0 {
		return cr
	}
	return lf
}

// dots doubles the dots that begin lines (RFC 5321 section 4.5.2). What it is given comes from copyLines.
type dots struct {
	put     func([]byte) error
	out     []byte
	midLine bool
}

func (d *dots) Write(p []byte) (int, error) {
	d.out = d.out[:0]
	for rest := p; len(rest) > 0; {
		if !d.midLine && rest[0] == '.' {
			d.out = append(d.out, '.')
		}
		line := rest
		i := bytes.IndexByte(rest, '\n')
		if i >= 0 {
			line = rest[:i+1]
		}
		d.out = append(d.out, line...)
		d.midLine = i < 0
		rest = rest[len(line):]
	}
	if err := d.put(d.out); err != nil {
		return 0, err
	}
	return len(p), nil
}
