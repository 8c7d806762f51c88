package smtpd

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"time"
)

// written is an acquaintance in a file: of fixed size, in network byte order.
type written struct {
	Key         [16]byte
	First, Last int64 // microseconds since 1970
	Passed      bool
}

// Save writes who is known, in 33 octets each.
func (g *Greylist) Save(w io.Writer) error {
	g.mu.Lock()
	now, list := g.opts.Now(), []written{}
	for key, a := range g.known {
		if now.Before(g.expires(a)) {
			list = append(list, written{key, a.first.UnixMicro(), a.last.UnixMicro(), a.passed})
		}
	}
	g.mu.Unlock()
	out := bufio.NewWriter(w)
	for _, a := range list {
		if err := binary.Write(out, binary.BigEndian, a); err != nil {
			return err
		}
	}
	return out.Flush()
}

// Load takes back what Save wrote; who is known already is known better. After an
// error there is what came before it.
func (g *Greylist) Load(r io.Reader) error {
	in := bufio.NewReader(r)
	for {
		var a written
		if err := binary.Read(in, binary.BigEndian, &a); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		g.mu.Lock()
		now := g.opts.Now()
		known := acquaintance{time.UnixMicro(a.First), time.UnixMicro(a.Last), a.Passed}
		if _, there := g.known[a.Key]; !there && now.Before(g.expires(known)) && !known.last.After(now) { // or the clock was set back
			g.put(a.Key, known, now)
		}
		g.mu.Unlock()
	}
}
