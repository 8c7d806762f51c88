package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// Where clients come from: each sixteen from an address of their own, as many as one may have sessions. All of 127.0.0.0/8 is this
// machine's own (RFC 1122 section 3.2.1.3).
const (
	busyBlock, idleBlock, abuseBlock, silentBlock, victimBlock = 8, 16, 32, 48, 64

	perAddress = 16
)

// addressOf is the n-th address of a block.
func addressOf(block, n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(block), byte(n / 250), byte(n%250 + 1)})
}

// clients are many clients of one kind, in a process of their own.
type clients struct {
	page     string
	mail     []wire.Open
	block, n int
	did      atomic.Int64 // what the kind counts
	woken    chan error   // of the idle ones
	peers    []*peer
}

// loadClients is that process. Its arguments are a kind, the gateway's page, a block of addresses, how many, and the mail servers. It says "up" when it has
// begun; at the end of its input it says what it did, and ends with all its connections.
func loadClients() {
	c := &clients{page: os.Args[2], woken: make(chan error)}
	c.block, _ = strconv.Atoi(os.Args[3])
	c.n, _ = strconv.Atoi(os.Args[4])
	for _, at := range os.Args[5:] {
		c.mail = append(c.mail, openAt(at))
	}
	begin := map[string]func() error{
		"idle": c.idle, "fetch": c.fetch, "silent": c.silent, "vanish": c.vanish, "slow": c.slow, "stop": c.stop, "push": c.push,
		"open": c.floodOpens, "enter": c.floodSessions,
	}[os.Args[1]]
	if err := begin(); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("up")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := c.wake(); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println("awake")
	}
	fmt.Println(c.did.Load())
}

func (c *clients) address(i int) netip.Addr { return addressOf(c.block, i/perAddress) }

// enter lets all in, some at a time.
func (c *clients) enter() error {
	c.peers = make([]*peer, c.n)
	errs := make([]error, c.n)
	c.each(func(i int) { c.peers[i], errs[i] = newPeer(c.page, c.address(i)) })
	return errors.Join(errs...)
}

// each calls f for every client, for some at a time.
func (c *clients) each(f func(i int)) {
	var all sync.WaitGroup
	var next atomic.Int64
	for range 32 {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < c.n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	all.Wait()
}

// open is enter with a stream for each, to one of the mail servers.
func (c *clients) open(server int) ([]*peerStream, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	streams, errs := make([]*peerStream, c.n), make([]error, c.n)
	c.each(func(i int) { streams[i], errs[i] = c.peers[i].open(c.mail[server]) })
	return streams, errors.Join(errs...)
}

// idle clients do nothing but answer pings, until they are woken.
func (c *clients) idle() error {
	if err := c.enter(); err != nil {
		return err
	}
	for i, p := range c.peers {
		go func() { c.woken <- fmt.Errorf("client %d: %w", i, p.rest(uint64(i), c.woken)) }()
	}
	return nil
}

// wakeUp and wakeDown are what an idle client exchanges when it wakes, in octets.
const wakeUp, wakeDown = 32, 64

// rest reads until the session ends. Of what comes on a stream it expects that to be a yes, a greeting, and the answer to an exchange.
func (p *peer) rest(number uint64, woken chan<- error) error {
	var got []byte
	for {
		f, err := p.next()
		if err != nil {
			return err
		}
		if f.kind != muxData {
			continue
		}
		at := len(got)
		got = append(got, make([]byte, f.length)...)
		if _, err := io.ReadFull(p, got[at:]); err != nil {
			return err
		}
		words := bytes.NewReader(got)
		if err := wire.ReadOpened(words); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			continue // the rest of it comes
		} else if err != nil {
			return err
		}
		if words.Len() < len(greeting)+wakeDown {
			continue
		}
		if err := greeted(words); err != nil {
			return err
		}
		if err := answers(number, got[len(got)-words.Len():]); err != nil {
			return err
		}
		got = nil
		if err := p.say(muxFrame(muxWindow, muxFIN, p.last, 0)); err != nil {
			return err
		}
		woken <- nil
	}
}

// wake lets every idle client open a stream, have one exchange, and close it, some at a time.
func (c *clients) wake() error {
	late := time.NewTimer(2 * loadPatience)
	defer late.Stop()
	const atOnce = 64
	for begun, done := 0, 0; done < c.n; {
		if begun < c.n && begun-done < atOnce {
			p := c.peers[begun]
			if err := p.say(p.asks(c.mail[exchanging], question(uint64(begun), wakeUp, wakeDown)...)); err != nil {
				return err
			}
			begun++
			continue
		}
		select {
		case err := <-c.woken:
			if err != nil {
				return err
			}
			done++
		case <-late.C:
			return fmt.Errorf("%d of %d do not wake", c.n-done, c.n)
		}
	}
	return nil
}
