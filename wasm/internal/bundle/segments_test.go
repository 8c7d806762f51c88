package bundle

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

const emptyModule = "\x00asm\x01\x00\x00\x00"

// module makes one with a section before its data, and one after.
func module(list []segment) []byte {
	data := binary.AppendUvarint(nil, uint64(len(list)))
	for _, l := range list {
		data = append(appendSigned(append(data, active, constI32), l.at), endExpr)
		data = append(binary.AppendUvarint(data, uint64(len(l.content))), l.content...)
	}
	out := append([]byte(emptyModule), 10, 3, 1, 2, 3, dataSection)
	out = append(binary.AppendUvarint(out, uint64(len(data))), data...)
	return append(out, 0, 2, 1, 'x')
}

// memory answers what a module's data makes of an empty memory, and how many segments it has.
func memory(t *rapid.T, module []byte) (m []byte, segments int) {
	m = make([]byte, 1<<20)
	r := &section{b: module[8:]}
	for len(r.b) > 0 {
		id := r.byte()
		s := &section{b: r.take()}
		if id != dataSection {
			continue
		}
		segments = int(s.uint())
		for range segments {
			s.byte()
			s.byte()
			at, shift := uint64(0), 0
			for more := true; more; shift += 7 {
				c := s.byte()
				at |= uint64(c&0x7f) << shift
				if more = c&0x80 != 0; !more && c&0x40 != 0 {
					t.Fatal("an offset below zero")
				}
			}
			s.byte()
			copy(m[at:], s.take())
		}
		if s.err != nil || len(s.b) > 0 {
			t.Fatal("the section is broken: ", s.err)
		}
	}
	return m, segments
}

func TestMergeSegments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list []segment
		at := uint64(0)
		for range rapid.IntRange(0, 30).Draw(t, "segments") {
			at += uint64(rapid.OneOf(rapid.IntRange(0, 2*leastGap), rapid.SampledFrom([]int{63, 64, leastGap - 1, leastGap, 8191, 8192})).Draw(t, "gap"))
			content := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "content")
			list = append(list, segment{at, content})
			at += uint64(len(content))
		}
		// As the linker does it, what lies further on may come first.
		cut := rapid.IntRange(0, len(list)).Draw(t, "cut")
		before := module(slices.Concat(list[cut:], list[:cut]))
		after, err := mergeSegments(before, nil)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := memory(t, before)
		got, n := memory(t, after)
		if !bytes.Equal(got, want) {
			t.Fatal("the memory is another")
		}
		if !bytes.HasPrefix(after, before[:13]) || !bytes.HasSuffix(after, []byte{0, 2, 1, 'x'}) {
			t.Fatal("the other sections are others")
		}
		apart := 0
		var last *segment
		for i := range list {
			if len(list[i].content) == 0 {
				continue
			}
			if last == nil || list[i].at-last.end() >= leastGap {
				apart++
			}
			last = &list[i]
		}
		if n != apart {
			t.Fatalf("%d segments, want %d", n, apart)
		}
	})
}

func TestMergeSegmentsOfBrokenModules(t *testing.T) {
	whole := module([]segment{{0, []byte("abc")}, {10_000, []byte("d")}})
	for name, m := range map[string][]byte{
		"empty":             nil,
		"passive":           slices.Concat([]byte(emptyModule), []byte{dataSection, 4, 1, 1, 1, 'x'}),
		"an offset below 0": slices.Concat([]byte(emptyModule), []byte{dataSection, 11, 1, active, constI32, 0xff, 0xff, 0xff, 0xff, 0x7f, endExpr, 1, 'x'}),
		"overlapping":       module([]segment{{100, []byte("abc")}, {0, []byte("x")}, {101, []byte("d")}}),
		"cut":               whole[:len(whole)-10],
	} {
		if out, err := mergeSegments(m, nil); err == nil {
			t.Errorf("%s: %x", name, out)
		}
	}
}
