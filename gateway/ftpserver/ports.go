package ftpserver

import (
	"net/netip"
	"strconv"
	"strings"
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

// passive opens a port for the next data connection.
func (s *session) passive() (port uint16, ok bool) {
	if s.ready != nil { // its port is the client's to have again
		s.ready.close()
		s.ready = nil
	}
	l, err := s.listen()
	if err != nil {
		s.log.Warn("ftp: no port for a data connection", "error", err)
		s.reply(425, "all ports for data connections are in use; try again later")
		return 0, false
	}
	at, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		l.Close()
		s.reply(425, "no data connection")
		return 0, false
	}
	s.newChannel().listener = l
	return at.Port(), true
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
// section 3). Who comes by way of the gateway is not where the connection would go.
func (s *session) active(to netip.AddrPort) error {
	switch {
	case s.extended:
		return s.bad(501, "after EPSV ALL there is nothing but EPSV")
	case s.srv.cfg.Users.Client(s.raw.RemoteAddr()).Unmap() != s.remote.Addr():
		s.srv.counts.bounced.Add(1)
		return s.bad(504, "the server cannot connect to you: say EPSV")
	case to.Addr() != s.remote.Addr().WithZone("") || to.Port() < 1024:
		s.srv.counts.bounced.Add(1)
		return s.bad(504, "%v", errForeign)
	}
	s.newChannel().target = netip.AddrPortFrom(s.remote.Addr(), to.Port())
	s.reply(200, "ready to connect")
	return nil
}
