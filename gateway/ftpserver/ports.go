package ftpserver

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/postern-mail/postern/shared/special"
)

// pasv is PASV of RFC 959, which knows IPv4 alone.
func (s *session) pasv(string) error {
	if s.extended {
		return s.bad(501, "after EPSV ALL there is nothing but EPSV")
	}
	ip := s.announced()
	if !ip.Is4() {
		return s.bad(522, "PASV cannot tell an IPv6 address: say EPSV") // RFC 2428 section 2
	}
	port, ok := s.passive()
	if !ok {
		return nil
	}
	a := ip.As4()
	s.reply(227, "entering passive mode (%d,%d,%d,%d,%d,%d)", a[0], a[1], a[2], a[3], port>>8, port&0xff)
	return nil
}

// announced is the address that PASV tells.
func (s *session) announced() netip.Addr {
	if public := s.srv.cfg.Public; public.IsValid() && !s.remote.Addr().IsLoopback() {
		return public
	}
	return s.local.Addr()
}

// epsv is EPSV of RFC 2428 section 3.
func (s *session) epsv(arg string) error {
	mine := "1"
	if s.local.Addr().Is6() {
		mine = "2"
	}
	switch arg = strings.ToUpper(strings.TrimSpace(arg)); arg {
	case "ALL":
		s.extended = true
		s.reply(200, "EPSV it is")
		return nil
	case "", mine:
	default:
		return s.bad(522, "the network protocol here is (%s)", mine)
	}
	port, ok := s.passive()
	if ok {
		s.reply(229, "entering extended passive mode (|||%d|)", port)
	}
	return nil
}

// passive has a port for the next data connection.
func (s *session) passive() (port uint16, ok bool) {
	ch, ok := s.newChannel()
	if !ok {
		return 0, false
	}
	var l *net.TCPListener
	if s.inside {
		port = s.unheard()
	} else {
		var err error
		if l, err = s.listen(); err != nil {
			s.unprepare()
			s.log.Warn("ftp: no port for a data connection", "error", err)
			s.reply(425, "all ports for data connections are in use; try again later")
			return 0, false
		}
		port = uint16(l.Addr().(*net.TCPAddr).Port)
	}
	ch.has(port, l)
	s.mu.Lock()
	s.door = ch
	s.mu.Unlock()
	return port, true
}

// unheard is a port at which nothing listens. It stands for the data connection between the client and the gateway, which comes
// by OpenData: at a port all of them would come from this machine, and nobody could tell them apart.
func (s *session) unheard() uint16 {
	p := s.srv.cfg.Passive
	if p == (Ports{}) {
		p = Ports{49152, 65535} // for whatever anybody likes (RFC 6335 section 6)
	}
	return p.First + uint16(rand.IntN(int(p.Last-p.First)+1))
}

// listen opens a port at the address by which the client came, in the range. Which one it is nobody can tell beforehand, and be
// there first (RFC 2577 section 5).
func (s *session) listen() (*net.TCPListener, error) {
	at := func(port uint16) (*net.TCPListener, error) {
		return net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.local.Addr(), port)))
	}
	p := s.srv.cfg.Passive
	if p == (Ports{}) {
		return at(0)
	}
	size := int(p.Last) - int(p.First) + 1
	if size < 1 {
		return nil, fmt.Errorf("no ports from %d to %d", p.First, p.Last)
	}
	first := rand.IntN(size)
	var err error
	for i := range size {
		var l *net.TCPListener
		if l, err = at(p.First + uint16((first+i)%size)); err == nil {
			return l, nil
		}
	}
	return nil, err
}

// port is PORT of RFC 959: h1,h2,h3,h4,p1,p2.
func (s *session) port(arg string) error {
	fields := strings.Split(arg, ",")
	if len(fields) != 6 {
		return s.bad(501, "PORT needs six numbers")
	}
	var n [6]byte
	for i, f := range fields {
		v, err := strconv.ParseUint(strings.TrimSpace(f), 10, 8)
		if err != nil {
			return s.bad(501, "PORT needs six numbers")
		}
		n[i] = byte(v)
	}
	return s.active(netip.AddrPortFrom(netip.AddrFrom4([4]byte(n[:4])), uint16(n[4])<<8|uint16(n[5])))
}

// eprt is EPRT of RFC 2428 section 2: |1|192.0.2.1|2048| or |2|2001:db8::1|2048|, with any delimiter.
func (s *session) eprt(arg string) error {
	fields := strings.Split(arg, arg[:1])
	if len(fields) != 5 || fields[0] != "" || fields[4] != "" {
		return s.bad(501, "EPRT needs a protocol, an address and a port")
	}
	ip, err := netip.ParseAddr(fields[2])
	port, e := strconv.ParseUint(fields[3], 10, 16)
	switch {
	case err != nil || e != nil || ip.Zone() != "":
		return s.bad(501, "EPRT needs a protocol, an address and a port")
	case fields[1] == "1" && ip.Is4(), fields[1] == "2" && ip.Is6():
		return s.active(netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	return s.bad(522, "the network protocols are (1,2)")
}

// active prepares a connection to the client: to itself alone, and to no port that a service of its machine may have (RFC 2577
// section 3): by its address it may be a router or a proxy, of many clients. Who comes by way of the gateway is not where the connection
// would go.
func (s *session) active(to netip.AddrPort) error {
	switch {
	case s.extended:
		return s.bad(501, "after EPSV ALL there is nothing but EPSV")
	case s.inside:
		s.srv.counts.bounced.Add(1)
		return s.bad(504, "the server cannot connect to you: say EPSV")
	case to.Addr() != s.remote.Addr().WithZone("") || to.Port() < 1024 || special.Service(int(to.Port())):
		s.srv.counts.bounced.Add(1)
		return s.bad(504, "%v", errForeign)
	}
	ch, ok := s.newChannel()
	if !ok {
		return nil
	}
	ch.target = netip.AddrPortFrom(s.remote.Addr(), to.Port())
	s.reply(200, "ready to connect")
	return nil
}
