package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// withoutLines takes out of a program's memory what Go's linker writes about each function for stack traces and debuggers
// alone: for every instruction the file and the line that it comes from, the names of the files, what arguments look like,
// where a goroutine may be stopped by a signal (WebAssembly has none). It is a tenth of a program on its way. Stack
// traces still name the functions, and say "?" for the place and "..." for arguments. (-ldflags=-s leaves all that in, for
// it is not a debugger's.)
//
// What is read here is the runtime's own and may change with each Go release: pcHeader, _func and findfuncbucket of Go
// 1.26 (runtime/symtab.go, runtime2.go, internal/abi/symtab.go). All of it is checked, so that a program of another form
// is an error and not a broken page.
func withoutLines(memory []byte) error {
	at := bytes.Index(memory, lineTable)
	if at < 0 || bytes.Contains(memory[at+1:], lineTable) {
		return errors.New("the table of functions is not where it was in Go 1.26")
	}
	t := &functions{b: memory[at:]}
	count, files := t.long(8), t.long(fileTable)
	units := t.long(unitTable)
	t.steps, t.list = t.long(stepTable), t.long(functionTable)
	if t.broken || units > files || files > t.steps || t.steps > t.list || t.list > uint64(len(t.b)) || count > uint64(len(t.b))/functionSize {
		return errBrokenTable
	}
	// Tables of steps are shared; those that the collector and the stack need stay.
	needed := make([]bool, t.list-t.steps)
	if len(needed) > 0 {
		needed[0] = true
	}
	for i := range count {
		f := t.list + uint64(t.word(t.list+8*i+4))
		for _, field := range []uint64{functionFile, functionLine, functionUnit, functionStart} {
			t.clear(f + field)
		}
		t.need(needed, t.word(f+functionStack))
		tables, data := uint64(t.word(f+functionTables)), uint64(t.at(f+functionData, 1)[0])
		for k := range tables {
			if k == unsafePoint || k == argumentLive {
				t.clear(f + functionSize + 4*k)
			}
			t.need(needed, t.word(f+functionSize+4*k))
		}
		for k := uint64(argumentInfo); k <= argumentLiveInfo && k < data; k++ {
			binary.LittleEndian.PutUint32(t.at(f+functionSize+4*(tables+k), 4), noData)
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
	clear(t.b[units:t.steps])
	return coarse(t.b[t.list:], count)
}

// coarse makes the table that finds a function by a program counter easy to compress. It has a place for each 4 KiB of
// counters, of which a function has 64 KiB in WebAssembly, however small it is; each place says with which function to
// begin to look. The runtime goes on from there to the right one, so it may begin a few before it.
func coarse(memory []byte, count uint64) error {
	bucket := func(table []byte, function uint64) []byte {
		for range bucketsOfOne {
			table = append(binary.LittleEndian.AppendUint32(table, uint32(function)), make([]byte, bucketSize-4)...)
		}
		return table
	}
	var begin []byte
	for i := range min(count, 3) {
		begin = bucket(begin, i)
	}
	at := bytes.Index(memory, begin)
	if at < 0 || count == 0 {
		return errors.New("the table that finds functions is not where it was in Go 1.26")
	}
	table := memory[at:]
	for i := range count - 1 { // the last has as many places as it has code
		const size = bucketsOfOne * bucketSize
		if uint64(len(table)) < size || !bytes.Equal(table[:size], bucket(nil, i)) {
			return fmt.Errorf("the table that finds functions is not of the form of Go 1.26: function %d of %d", i, count)
		}
		copy(table, bucket(nil, i-i%coarseness))
		table = table[size:]
	}
	return nil
}

var errBrokenTable = errors.New("the table of functions is not of the form of Go 1.26")

// lineTable is how a pcHeader begins: its magic number, two zeros, an instruction's least size, a pointer's size.
var lineTable = []byte{0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8}

// Offsets in a pcHeader, and in a _func.
const (
	unitTable     = 8 + 8*4 // what files a package has
	fileTable     = 8 + 8*5 // their names
	stepTable     = 8 + 8*6
	functionTable = 8 + 8*7

	functionStack  = 16 // pcsp: how large the frame is
	functionFile   = 20 // pcfile
	functionLine   = 24 // pcln
	functionTables = 28 // npcdata: how many tables of steps follow
	functionUnit   = 32 // cuOffset
	functionStart  = 36 // startLine
	functionData   = 43 // nfuncdata: how much other data follows them
	functionSize   = 44
)

// Which of the tables of steps and of the other data are for stack traces and signals alone.
const (
	unsafePoint  = 0 // PCDATA_UnsafePoint
	argumentLive = 3 // PCDATA_ArgLiveIndex

	argumentInfo     = 5 // FUNCDATA_ArgInfo
	argumentLiveInfo = 6 // FUNCDATA_ArgLiveInfo
	noData           = ^uint32(0)
)

// The table that finds functions: places of 20 octets (findfuncbucket), 16 for each function.
const (
	bucketSize   = 20
	bucketsOfOne = 16
	coarseness   = 16 // how many functions begin to be looked for at the same
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
