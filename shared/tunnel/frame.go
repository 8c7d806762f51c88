package tunnel

import "encoding/binary"

// The frames of yamux, as its spec.md has them: a header of twelve bytes (version, type, flags, stream id, length), and
// after a data frame's header as many bytes as its length says.
const headerSize = 12

const (
	typeData byte = iota
	typeWindowUpdate
	typePing
	typeGoAway
)

const (
	flagSYN uint16 = 1 << iota
	flagACK
	flagFIN
	flagRST
)

// controlStream is the client's first stream.
const controlStream = 1

// initialWindow is what either side of a new stream may send before it is told of more.
const initialWindow = 256 << 10

type header [headerSize]byte

func newHeader(kind byte, flags uint16, stream, length uint32) (h header) {
	h[1] = kind
	binary.BigEndian.PutUint16(h[2:], flags)
	binary.BigEndian.PutUint32(h[4:], stream)
	binary.BigEndian.PutUint32(h[8:], length)
	return h
}

func (h *header) version() byte        { return h[0] }
func (h *header) kind() byte           { return h[1] }
func (h *header) has(flag uint16) bool { return binary.BigEndian.Uint16(h[2:])&flag != 0 }
func (h *header) stream() uint32       { return binary.BigEndian.Uint32(h[4:]) }
func (h *header) length() uint32       { return binary.BigEndian.Uint32(h[8:]) }

// frames finds the headers in a byte stream.
type frames struct {
	header  header
	have    int // of header
	payload int // of the frame begun, still to come
}

// gather takes from p what the header still lacks. When it is whole, payload says what follows it.
func (f *frames) gather(p []byte) (rest []byte, whole bool) {
	n := copy(f.header[f.have:], p)
	f.have += n
	if f.have < headerSize {
		return nil, false
	}
	f.have = 0
	if f.header.kind() == typeData {
		f.payload = int(f.header.length())
	}
	return p[n:], true
}
