package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// withoutLines takes the numbers of source lines out of a program's memory. Go's linker writes for every instruction the
// file and line that it comes from, which is a fifteenth of a program on its way and serves stack traces alone: they name
// the functions without it, and say "?" for the place. (-ldflags=-s leaves the tables in, for they are not a debugger's.)
//
// What is read here is the runtime's own and may change with each Go release: pcHeader and _func of Go 1.20 to 1.26
// (runtime/symtab.go, runtime2.go). All of it is checked, so that a program of another form is an error and not a broken page.
func withoutLines(memory []byte) error {
	at := bytes.Index(memory, lineTable)
	if at < 0 || bytes.Contains(memory[at+1:], lineTable) {
		return errors.New("the table of functions is not where it was in Go 1.26")
	}
	t := &functions{b: memory[at:]}
	count := t.long(8)
	t.steps, t.list = t.long(pcTable), t.long(functionTable)
	if t.broken || t.steps > t.list || t.list > uint64(len(t.b)) || count > uint64(len(t.b))/functionSize {
		return errBrokenTable
	}
	// Tables of steps are shared; those that the collector and the stack need stay.
	needed := make([]bool, t.list-t.steps)
	if len(needed) > 0 {
		needed[0] = true
	}
	for i := range count {
		f := t.list + uint64(t.word(t.list+8*i+4))
		t.need(needed, t.word(f+functionStack))
		for k := range uint64(t.word(f + functionTables)) {
			t.need(needed, t.word(f+functionSize+4*k))
		}
		for _, field := range []uint64{functionFile, functionLine, functionStart} {
			t.clear(f + field)
		}
		if t.broken {
			return fmt.Errorf("%w: function %d of %d", errBrokenTable, i, count)
		}
	}
	for i, n := range needed {
		if !n {
			t.b[t.steps+uint64(i)] = 0
		}
	}
	return nil
}

var errBrokenTable = errors.New("the table of functions is not of the form of Go 1.26")

// lineTable is how a pcHeader begins: its magic number, two zeros, an instruction's least size, a pointer's size.
var lineTable = []byte{0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8}

// Offsets in a pcHeader, and in a _func.
const (
	pcTable       = 8 + 8*6
	functionTable = 8 + 8*7

	functionStack  = 16 // pcsp: how large the frame is
	functionFile   = 20 // pcfile
	functionLine   = 24 // pcln
	functionTables = 28 // npcdata: how many tables of the collector's follow
	functionStart  = 36 // startLine
	functionSize   = 44
)

// functions reads a pcHeader and what follows. What lies outside of it makes it broken and reads as zero.
type functions struct {
	b           []byte
	steps, list uint64
	broken      bool
}

func (t *functions) at(off, n uint64) []byte {
	if off > uint64(len(t.b)) || n > uint64(len(t.b))-off {
		t.broken = true
		return make([]byte, n)
	}
	return t.b[off : off+n]
}

func (t *functions) long(off uint64) uint64 { return binary.LittleEndian.Uint64(t.at(off, 8)) }
func (t *functions) word(off uint64) uint32 { return binary.LittleEndian.Uint32(t.at(off, 4)) }
func (t *functions) clear(off uint64)       { clear(t.at(off, 4)) }

// need marks a table: pairs of numbers, the first of which is zero at the end alone, or at the beginning.
func (t *functions) need(needed []bool, table uint32) {
	if table == 0 || t.broken {
		return
	}
	for off, first := uint64(table), true; ; first = false {
		for pair := range 2 {
			if off >= uint64(len(needed)) {
				t.broken = true
				return
			}
			v, n := binary.Uvarint(t.b[t.steps+off : t.list])
			if n <= 0 {
				t.broken = true
				return
			}
			for k := range n {
				needed[off+uint64(k)] = true
			}
			off += uint64(n)
			if pair == 0 && v == 0 && !first {
				return
			}
		}
	}
}
