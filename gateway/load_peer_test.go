package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// peer is a client made by hand: a WebSocket (RFC 6455) with yamux in it that costs some KB, so that one process can be ten thousand of
// them, and that breaks such rules as it is told to.
type peer struct {
	conn   *net.TCPConn
	r      *bufio.Reader
	left   int // of the WebSocket's frame in hand
	header [12]byte

	writing sync.Mutex
	last    uint32 // the latest stream's id
}

// patience bounds what a client waits for on a machine that others use, too.
const loadPatience = time.Minute

// newPeer has been welcomed.
func newPeer(page string, from netip.Addr) (*peer, error) {
	d := net.Dialer{Timeout: loadPatience, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	conn, err := d.Dial("tcp", page)
	if err != nil {
		return nil, err
	}
	p := &peer{conn: conn.(*net.TCPConn), r: bufio.NewReaderSize(conn, 512), last: 1}
	_ = conn.SetDeadline(time.Now().Add(loadPatience))
	if err := p.enter(page); err != nil {
		p.reset()
		return nil, err
	}
	return p, conn.SetDeadline(time.Time{})
}

// enter shakes hands and says hello.
func (p *peer) enter(page string) error {
	if _, err := fmt.Fprintf(p.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: %s\r\n\r\n", wire.Path, page, wire.Subprotocol); err != nil {
		return err
	}
	r, err := http.ReadResponse(p.r, nil)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusSwitchingProtocols {
		return errors.New(r.Status)
	}
	var hello bytes.Buffer
	if err := wire.WriteHello(&hello, wire.Hello{Version: wire.Version}); err != nil {
		return err
	}
	if err := p.say(muxPayload(muxSYN, 1, hello.Bytes())); err != nil {
		return err
	}
	_, err = wire.ReadWelcome(&peerStream{p: p, id: 1})
	return err
}

// reset goes without a word: the gateway gets a RST.
func (p *peer) reset() {
	_ = p.conn.SetLinger(0)
	_ = p.conn.Close()
}

// say sends frames as one message. The mask is zero: that is as good as any for who has no proxy to fear.
func (p *peer) say(frames []byte) error {
	b := []byte{0x82, 0x80 | 126, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(b[2:], uint16(len(frames)))
	p.writing.Lock()
	defer p.writing.Unlock()
	_, err := p.conn.Write(append(b, frames...))
	return err
}

// Read reads what is in the WebSocket's frames.
func (p *peer) Read(b []byte) (int, error) {
	for p.left == 0 {
		if err := p.frame(); err != nil {
			return 0, err
		}
	}
	n, err := p.r.Read(b[:min(len(b), p.left)])
	p.left -= n
	return n, err
}

// frame reads the head of one.
func (p *peer) frame() error {
	h := p.header[:2]
	if _, err := io.ReadFull(p.r, h); err != nil {
		return err
	}
	kind, n := h[0]&15, int(h[1])
	if more := map[int]int{126: 2, 127: 8}[n]; more > 0 {
		h = p.header[:more]
		if _, err := io.ReadFull(p.r, h); err != nil {
			return err
		}
		n = 0
		for _, octet := range h {
			n = n<<8 | int(octet)
		}
	}
	switch {
	case kind == 8: // close; the rest are ping and pong
		return io.EOF
	case kind > 8:
		_, err := p.r.Discard(n)
		return err
	}
	p.left = n
	return nil
}

// muxHeader is that of a frame of yamux.
type muxHeader struct {
	kind           byte
	flags          uint16
	stream, length uint32
}

// next reads the next frame's header. It answers pings.
func (p *peer) next() (muxHeader, error) {
	for {
		var h [12]byte
		for n := 0; n < len(h); {
			k, err := p.Read(p.header[:len(h)-n])
			n += copy(h[n:], p.header[:k])
			if err != nil {
				return muxHeader{}, err
			}
		}
		f := muxHeader{h[1], binary.BigEndian.Uint16(h[2:]), binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[8:])}
		if f.kind != muxPing {
			return f, nil
		}
		if f.flags&muxSYN != 0 {
			if err := p.say(muxFrame(muxPing, muxACK, 0, f.length)); err != nil {
				return f, err
			}
		}
	}
}

// asks is what opens a stream, with words that follow at once.
func (p *peer) asks(open wire.Open, words ...byte) []byte {
	p.last += 2
	return muxPayload(muxSYN, p.last, append(openBytes(open), words...))
}

// open opens a stream, on which it is greeted.
func (p *peer) open(open wire.Open) (*peerStream, error) {
	if err := p.say(p.asks(open)); err != nil {
		return nil, err
	}
	s := &peerStream{p: p, id: p.last}
	if err := wire.ReadOpened(s); err != nil {
		return nil, err
	}
	return s, greeted(s)
}

// peerStream reads and writes one of its streams; what comes on others meanwhile is lost.
type peerStream struct {
	p     *peer
	id    uint32
	left  int // of the frame in hand
	over  bool
	taken int // what the gateway has said it takes more than the first 256 KiB
}

func (s *peerStream) Write(b []byte) (int, error) {
	return len(b), s.p.say(muxPayload(0, s.id, b))
}

func (s *peerStream) Read(b []byte) (int, error) {
	for s.left == 0 {
		if s.over {
			return 0, io.EOF
		}
		f, err := s.p.next()
		if err != nil {
			return 0, err
		}
		s.over = s.over || f.stream == s.id && f.flags&^(muxSYN|muxACK) != 0
		switch {
		case f.kind == muxData && f.stream == s.id:
			s.left = int(f.length)
		case f.kind == muxData:
			if _, err := io.CopyN(io.Discard, s.p, int64(f.length)); err != nil {
				return 0, err
			}
		case f.kind == muxWindow && f.stream == s.id:
			s.taken += int(f.length)
		}
	}
	n, err := s.p.Read(b[:min(len(b), s.left)])
	s.left -= n
	return n, err
}

// allow lets the gateway send so much more.
func (s *peerStream) allow(n uint32) error { return s.p.say(muxFrame(muxWindow, 0, s.id, n)) }
