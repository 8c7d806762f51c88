//go:build unix

package testbed

import (
	"net"
	"strconv"
	"testing"
)

// Sinks are mail servers that take nothing, each in its way: Postfix's smtp-sink. They are host:port.
type Sinks struct {
	Tempfail string // answers RCPT with "450 4.2.1 come back later"
	Hardfail string // answers RCPT with "550 5.1.1 nobody of that name"
	Drop     string // hangs up at DATA
	DropLate string // hangs up when it has the message, in place of its answer
}

// StartSinks starts the sinks, and stops them at the end of the test.
func StartSinks(t testing.TB) *Sinks {
	t.Helper()
	b := prepare(t, "smtp-sink")
	s := &Sinks{}
	for _, sink := range []struct {
		address *string
		args    []string
	}{
		{&s.Tempfail, []string{"-r", "RCPT", "-b", "450 4.2.1 come back later"}},
		{&s.Hardfail, []string{"-f", "RCPT", "-B", "550 5.1.1 nobody of that name"}},
		{&s.Drop, []string{"-q", "DATA"}},
		{&s.DropLate, []string{"-q", "."}},
	} {
		var port int
		b.reserve(t, b.Host, &port).Close()
		*sink.address = net.JoinHostPort(b.Host, strconv.Itoa(port))
		b.run(t, "smtp-sink", append(append([]string{"-u", "nobody"}, sink.args...), *sink.address, "64")...)
	}
	b.awaitPorts(t, s.Tempfail, s.Hardfail, s.Drop, s.DropLate)
	return s
}
