package bundle

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
)

// mergeSegments writes a module's memory in few segments. Go's linker leaves out every run of zeros of eight octets, and
// the 80,000 segments that it makes of a program so have 80,000 offsets, which hardly compress, where zeros compress to
// nothing: merging them takes a tenth off the page, before compression and after. What the memory holds stays the same.
//
// See the WebAssembly core specification, sections 5.5.14 (data) and 5.2.2 (LEB128).
//
// Edit, if not nil, may change what is in each of them.
func mergeSegments(module []byte, edit func(memory [][]byte) error) ([]byte, error) {
	if len(module) < 8 {
		return nil, errors.New("this is not a WebAssembly module")
	}
	out := append(make([]byte, 0, len(module)), module[:8]...)
	r := &section{b: module[8:]}
	for len(r.b) > 0 && r.err == nil {
		id := r.byte()
		content := r.take()
		if id == dataSection {
			s := &section{b: content}
			if content = s.merged(edit); s.err != nil {
				return nil, s.err
			}
		}
		out = append(out, id)
		out = binary.AppendUvarint(out, uint64(len(content)))
		out = append(out, content...)
	}
	return out, r.err
}

const dataSection = 11

// leastGap is the shortest run of zeros between two segments that stays out. What is left is a segment for each corner of
// memory.
const leastGap = 4096

// The only kind of segment that Go's linker makes: active, in memory 0, at a constant i32.
const (
	active   = 0
	constI32 = 0x41
	endExpr  = 0x0b
)

type segment struct {
	at      uint64
	content []byte
}

func (s segment) end() uint64 { return s.at + uint64(len(s.content)) }

// merged reads a data section and answers it with its neighbours joined.
func (s *section) merged(edit func(memory [][]byte) error) []byte {
	var list []segment
	for n := s.uint(); n > 0 && s.err == nil; n-- {
		kind, constant := s.byte(), s.byte()
		at := s.uint() // a signed number, of which the linker makes positive ones alone
		if kind != active || constant != constI32 || s.byte() != endExpr || at >= 1<<31 {
			s.err = errors.New("a data segment is not of the kind that Go makes")
			return nil
		}
		content := s.take()
		if len(content) > 0 {
			list = append(list, segment{at, content[:len(content):len(content)]})
		}
	}
	// The linker writes them section by section, and the sections in another order than that of memory.
	slices.SortStableFunc(list, func(a, b segment) int { return cmp.Compare(a.at, b.at) })
	joined := list[:0]
	for _, next := range list {
		last := len(joined) - 1
		if last < 0 || next.at >= joined[last].end()+leastGap {
			joined = append(joined, next)
			continue
		}
		l := &joined[last]
		if next.at < l.end() {
			s.err = errors.New("data segments overlap")
			return nil
		}
		l.content = append(append(l.content, make([]byte, next.at-l.end())...), next.content...)
	}
	list = joined
	if edit != nil {
		var memory [][]byte
		for _, l := range list {
			memory = append(memory, l.content)
		}
		if s.err = cmp.Or(s.err, edit(memory)); s.err != nil {
			return nil
		}
	}
	out := binary.AppendUvarint(nil, uint64(len(list)))
	for _, l := range list {
		out = append(out, active, constI32)
		out = appendSigned(out, l.at)
		out = append(out, endExpr)
		out = binary.AppendUvarint(out, uint64(len(l.content)))
		out = append(out, l.content...)
	}
	return out
}

// appendSigned writes n in signed LEB128: the last octet has a bit for the sign.
func appendSigned(b []byte, n uint64) []byte {
	for n >= 0x40 {
		b = append(b, byte(n)&0x7f|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}
