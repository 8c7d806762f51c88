package mailtest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
)

// Proxy is somebody on the way between a client and a server of POP3 or SMTP, who passes on what both say, keeps all of
// it, and does to it what his fields say. The zero value of each field does nothing. A Proxy is a [Server]: what is
// connected to it is connected to the server behind it. Its fields are not to change while it serves.
type Proxy struct {
	Server  Server // behind it, in memory; or
	Address string // host:port

	// Strip takes STARTTLS and STLS out of what the server announces and of what the client asks, as boxes in the field do:
	// the words are made ones that nobody knows.
	Strip bool
	// Forge, if set, changes each line that the server says before TLS; they end in CRLF.
	Forge func(line string) string
	// Certificate ends the client's TLS here, and begins another with the server.
	Certificate *tls.Certificate
	// Implicit says that there is TLS from the first octet.
	Implicit bool
	// Inject is said to the client in plain text after the server agreed to STARTTLS or STLS, in one packet with that.
	Inject string

	mu               sync.Mutex
	toServer, toHere bytes.Buffer
}

// Said returns what clients have said so far, as far as it can be read here: after TLS has begun the octets of TLS, or,
// with a Certificate, what is in it.
func (p *Proxy) Said() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.toServer.Bytes())
}

// Heard returns the same of what the server has said.
func (p *Proxy) Heard() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.toHere.Bytes())
}

// ServeConn implements Server.
func (p *Proxy) ServeConn(conn net.Conn) {
	var behind sync.WaitGroup
	defer behind.Wait()
	server, err := p.connect(&behind)
	if err != nil {
		return
	}
	r := &proxied{Proxy: p, client: conn, server: server, agreed: make(chan bool, 1)}
	r.clientIn, r.serverIn = bufio.NewReader(r.client), bufio.NewReader(r.server)
	if p.Implicit {
		r.sealed()
	}
	behind.Go(func() { // what one side ends, the other is told when it has all
		r.up()
		closeWrite(r.server)
	})
	r.down()
	r.client.Close()
	r.server.Close()
}

func (p *Proxy) connect(behind *sync.WaitGroup) (net.Conn, error) {
	if p.Server == nil {
		return net.Dial("tcp", p.Address)
	}
	near, far := Pipe(nil)
	behind.Go(func() {
		defer far.Close()
		p.Server.ServeConn(far)
	})
	return near, nil
}

// proxied is one connection through a Proxy. Before TLS it is read line by line.
type proxied struct {
	*Proxy
	client, server     net.Conn
	clientIn, serverIn *bufio.Reader
	raw                bool
	agreed             chan bool // the server's answer to STARTTLS or STLS

	asking sync.Mutex
	asked  bool // the client's last line was STARTTLS or STLS
}

// up passes on what the client says, until it ends.
func (r *proxied) up() {
	for !r.raw {
		line, err := r.clientIn.ReadString('\n')
		word := strings.ToUpper(strings.TrimSpace(line))
		asks := word == "STLS" || word == "STARTTLS"
		r.asking.Lock()
		r.asked = asks && !r.Strip
		r.asking.Unlock()
		r.keep(&r.toServer, []byte(line))
		if asks && r.Strip {
			line, asks = strings.Repeat("X", len(word))+"\r\n", false
		}
		if _, werr := io.WriteString(r.server, line); err != nil || werr != nil {
			return
		}
		if asks && <-r.agreed {
			break
		}
	}
	_, _ = io.Copy(keeping{r.server, r.Proxy, &r.toServer}, r.clientIn)
}

// down passes on what the server says.
func (r *proxied) down() {
	defer close(r.agreed)
	for !r.raw {
		line, err := r.serverIn.ReadString('\n')
		r.asking.Lock()
		asked := r.asked
		r.asked = false
		r.asking.Unlock()
		agreed := asked && (strings.HasPrefix(line, "+OK") || strings.HasPrefix(line, "220"))
		if r.Strip {
			line = strip(line)
		}
		if r.Forge != nil {
			line = r.Forge(line)
		}
		if agreed {
			line += r.Inject
		}
		r.keep(&r.toHere, []byte(line))
		if _, werr := io.WriteString(r.client, line); err != nil || werr != nil {
			return
		}
		if agreed {
			r.sealed()
		}
		if asked {
			r.agreed <- agreed
		}
	}
	_, _ = io.Copy(keeping{r.client, r.Proxy, &r.toHere}, r.serverIn)
}

// sealed is called when TLS begins.
func (r *proxied) sealed() {
	r.raw = true
	if r.Certificate == nil {
		return
	}
	r.client = tls.Server(r.client, &tls.Config{Certificates: []tls.Certificate{*r.Certificate}})
	r.server = tls.Client(r.server, &tls.Config{InsecureSkipVerify: true})
	r.clientIn, r.serverIn = bufio.NewReader(r.client), bufio.NewReader(r.server)
}

// strip makes the announcement of TLS one of something that nobody knows.
func strip(line string) string {
	switch word := strings.TrimRight(line, "\r\n"); strings.ToUpper(word) {
	case "STLS":
		return "XXXX\r\n"
	case "250-STARTTLS", "250 STARTTLS":
		return word[:4] + "XXXXXXXX\r\n"
	}
	return line
}

func (p *Proxy) keep(b *bytes.Buffer, octets []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b.Write(octets)
}

// keeping is one direction whose octets are kept.
type keeping struct {
	to   net.Conn
	p    *Proxy
	kept *bytes.Buffer
}

func (k keeping) Write(p []byte) (int, error) {
	k.p.keep(k.kept, p)
	return k.to.Write(p)
}

func closeWrite(c net.Conn) {
	w, ok := c.(interface{ CloseWrite() error })
	if _, sealed := c.(*tls.Conn); !ok || sealed { // servers do not care for the end of TLS in one direction
		c.Close()
		return
	}
	_ = w.CloseWrite()
}
