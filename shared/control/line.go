package control

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// Limits bound what a peer can make the other hold or wait for. Zero is the
// default.
type Limits struct {
	Request     int           // octets of a request's line; 64 KiB: the longest has a password, or some thousand ids
	Response    int           // of an answer's; 16 MiB: 50,000 rows of a queue
	Chunk       int           // of a stream; 64 KiB
	Idle        time.Duration // of silence before a request, and within one or a stream; 1 minute
	Login       time.Duration // for the whole of a login, with the delay that wrong passwords have earned; 45 seconds
	Connections int           // at a time; 16: one administrator, and his scripts
}

func (l Limits) withDefaults() Limits {
	set := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	set(&l.Request, 64<<10)
	set(&l.Response, 16<<20)
	set(&l.Chunk, 64<<10)
	set(&l.Connections, 16)
	if l.Idle == 0 {
		l.Idle = time.Minute
	}
	if l.Login == 0 {
		l.Login = 45 * time.Second
	}
	return l
}

var (
	errTooLong = errors.New("control: the other side said too much at once")
	errChunks  = errors.New("control: the stream is malformed")
)

type request struct {
	Postern int             `json:"postern"` // the protocol's version
	Op      string          `json:"op"`
	Args    json.RawMessage `json:"args,omitempty"`
}

type response struct {
	Stream bool            `json:"stream,omitempty"` // chunks follow, and then the answer
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// line is a connection that lines and chunks go over.
type line struct {
	conn   net.Conn
	in     *bufio.Reader
	limits Limits
}

func newLine(conn net.Conn, l Limits) *line {
	return &line{conn, bufio.NewReader(conn), l.withDefaults()}
}

// writeJSON sends one line.
func (l *line) writeJSON(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return l.write(append(text, '\n'))
}

func (l *line) write(p []byte) error {
	l.conn.SetWriteDeadline(time.Now().Add(l.limits.Idle))
	_, err := l.conn.Write(p)
	return err
}

// whileOpen is a context that ends when the other side closes the connection. stop
// ends the looking, and says whether it has; nothing else may read before that.
func (l *line) whileOpen(ctx context.Context) (during context.Context, stop func() error) {
	during, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	l.conn.SetReadDeadline(time.Time{})
	go func() {
		_, err := l.in.Peek(1) // what comes too early is read in its turn
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			cancel()
		} else {
			err = nil
		}
		ended <- err
	}()
	return during, func() error {
		l.conn.SetReadDeadline(time.Unix(1, 0))
		err := <-ended
		cancel()
		return err
	}
}

// readJSON reads one line of at most that many octets.
func (l *line) readJSON(v any, most int) error {
	var text []byte
	for {
		part, err := l.in.ReadSlice('\n')
		if len(text)+len(part) > most {
			return errTooLong
		}
		text = append(text, part...)
		if err == nil {
			break
		}
		if err == io.EOF && len(text) > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != bufio.ErrBufferFull {
			return err
		}
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("control: not what the protocol says: %w", err)
	}
	return nil
}

// sender writes chunks.
type sender struct {
	line *line
	err  error
}

func (s *sender) Write(p []byte) (n int, err error) {
	for len(p) > 0 && s.err == nil {
		part := p[:min(len(p), s.line.limits.Chunk)]
		s.err = s.line.write(append(binary.BigEndian.AppendUint32(nil, uint32(len(part))), part...))
		if s.err == nil {
			n += len(part)
		}
		p = p[len(part):]
	}
	return n, s.err
}

func (s *sender) end() error {
	if s.err != nil {
		return s.err
	}
	return s.line.write([]byte{0, 0, 0, 0})
}

// receiver reads chunks. It answers io.EOF at their end and nowhere else.
type receiver struct {
	line *line
	left int
	err  error
}

func (r *receiver) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.line.conn.SetReadDeadline(time.Now().Add(r.line.limits.Idle))
	if r.err == nil && r.left == 0 {
		var length [4]byte
		if _, r.err = io.ReadFull(r.line.in, length[:]); r.err == io.EOF {
			r.err = io.ErrUnexpectedEOF
		}
		n := binary.BigEndian.Uint32(length[:])
		switch {
		case r.err != nil:
		case n == 0:
			r.err = io.EOF
		case n > uint32(r.line.limits.Chunk):
			r.err = errChunks
		default:
			r.left = int(n)
		}
	}
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.line.in.Read(p[:min(len(p), r.left)])
	r.left -= n
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	r.err = err
	return n, err
}
