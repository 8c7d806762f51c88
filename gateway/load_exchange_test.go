package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/postern-mail/postern/shared/wire"
)

// An exchange is what clients under load do with a mail server, and what shows that nothing of it is lost, doubled or mixed up: so many
// octets up, so many down, each of them known to both sides by the exchange's number.
const exchangeHead = 16 // octets up, octets down, number

// noise is what all octets are cut from. It is the same in every process.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, 2<<16)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
})

// octets are those of an exchange's one direction; n is at most 64 KiB.
func octets(number uint64, n int) []byte {
	at := int(number * 0x9e3779b97f4a7c15 >> 48)
	return noise()[at : at+n]
}

// question is the client's part of it, as it goes up.
func question(number uint64, up, down int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(up))
	b = binary.BigEndian.AppendUint32(b, uint32(down))
	b = binary.BigEndian.AppendUint64(b, number)
	return append(b, octets(number, up)...)
}

// exchange does one and checks what comes down. room is for it.
func exchange(c io.ReadWriter, number uint64, up, down int, room []byte) error {
	if _, err := c.Write(question(number, up, down)); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, room[:down]); err != nil {
		return err
	}
	return answers(number, room[:down])
}

func answers(number uint64, got []byte) error {
	if !bytes.Equal(got, octets(^number, len(got))) {
		return fmt.Errorf("exchange %d: what came down is not what was sent", number)
	}
	return nil
}

// What stands for mail servers: each greets as one of POP3, or nothing would get there.
const (
	exchanging = iota // does exchanges
	endless           // talks for as long as somebody listens
	deaf              // reads nothing
)

const greeting = "+OK\r\n"

// mailServers are those behind the gateway under load.
type mailServers struct {
	at      []string     // host:port of each kind
	done    atomic.Int64 // exchanges
	spoiled atomic.Int64 // of which what came up is not what was sent
}

func startMailServers(t *testing.T) *mailServers {
	m := new(mailServers)
	for _, talk := range []func(*net.TCPConn){
		exchanging: m.exchange, endless: m.talk, deaf: func(*net.TCPConn) { <-t.Context().Done() },
	} {
		m.at = append(m.at, serveTCP(t, func(c *net.TCPConn) {
			if _, err := io.WriteString(c, greeting); err == nil {
				talk(c)
			}
		}))
	}
	return m
}

// openAt is the Open of one of them.
func openAt(address string) wire.Open {
	at := netip.MustParseAddrPort(address)
	return wire.Open{Service: wire.POP3, Host: at.Addr().String(), Port: int(at.Port())}
}

// greeted reads the greeting.
func greeted(c io.Reader) error {
	got := make([]byte, len(greeting))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != greeting {
		return fmt.Errorf("greeted by %q", got)
	}
	return nil
}

func (m *mailServers) exchange(c *net.TCPConn) {
	room := make([]byte, 1<<16)
	for {
		if _, err := io.ReadFull(c, room[:exchangeHead]); err != nil {
			return
		}
		up, down, number := binary.BigEndian.Uint32(room), binary.BigEndian.Uint32(room[4:]), binary.BigEndian.Uint64(room[8:])
		if up > 1<<16 || down > 1<<16 {
			m.spoiled.Add(1)
			return
		}
		if _, err := io.ReadFull(c, room[:up]); err != nil {
			return
		}
		if !bytes.Equal(room[:up], octets(number, int(up))) {
			m.spoiled.Add(1)
			return
		}
		if _, err := c.Write(octets(^number, int(down))); err != nil {
			return
		}
		m.done.Add(1)
	}
}

func (m *mailServers) talk(c *net.TCPConn) {
	for {
		if _, err := c.Write(noise()); err != nil {
			return
		}
	}
}
