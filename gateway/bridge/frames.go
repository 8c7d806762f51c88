//go:build !js

package bridge

import (
	"encoding/binary"
	"io"
	"net"
)

// wholeFrames writes the frames of a WebSocket's server (RFC 6455 section 5.2) each in one call of the system, though the
// WebSocket's own buffer hands them over in pieces: their head, and then the payload. A frame in two pieces costs two calls
// here and wakes its reader twice.
type wholeFrames struct {
	to   io.Writer
	due  int // of the frame begun, after what is held
	held [writeBuffer]byte
	n    int // held
	both [2][]byte
}

// longestHead is that of a frame whose payload needs 64 bits for its length, and has no mask.
const longestHead = 10

// Write implements io.Writer. It returns at once for the head of a frame that is to be continued.
func (w *wholeFrames) Write(p []byte) (int, error) {
	if w.n == 0 && w.due == 0 && len(p) <= writeBuffer {
		if size := frameSize(p); size > len(p) {
			w.n = copy(w.held[:], p)
			w.due = size - len(p)
			return len(p), nil
		}
		return w.to.Write(p)
	}
	if w.n == 0 {
		w.due = max(0, w.due-len(p))
		return w.to.Write(p)
	}
	w.due = max(0, w.due-len(p))
	w.both = [2][]byte{w.held[:w.n], p}
	b := net.Buffers(w.both[:])
	n, err := b.WriteTo(w.to)
	n = max(0, n-int64(w.n))
	w.n = 0
	return int(n), err
}

// frameSize is how long a frame is that begins with p, or 0 if that cannot be said.
func frameSize(p []byte) int {
	if len(p) < 2 {
		return 0
	}
	switch n := int(p[1] & 0x7f); {
	case n < 126:
		return 2 + n
	case n == 126 && len(p) >= 4:
		return 4 + int(binary.BigEndian.Uint16(p[2:]))
	case n == 127 && len(p) >= longestHead:
		return longestHead + int(binary.BigEndian.Uint64(p[2:]))
	}
	return 0
}
