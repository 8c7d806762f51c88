// Package world is a mail world on one machine: servers of several domains, with a DNS, a network and a clock of their own, so that a
// message makes its whole journey (submission, queue, MX look-up, SMTP with STARTTLS, SPF, DKIM and DMARC, maildrop) and never leaves
// the machine.
//
//   - [Zone] answers for the DNS. It has what the servers publish, and no other name exists.
//   - Every server has an address of the documentation networks (RFC 5737). Connections to these go to the server's port on loopback,
//     and nowhere else can be connected to.
//   - Faults can be switched on while it runs, on the way to a domain or to all: see [control.Fault]. What is refused is refused by the
//     receiving server, under TLS and with its own words; what is cut is cut there; a link that is slow, or down, is so outside.
//   - [Clock] is that of the queues, of greylists, and of the dates that servers write. It can be put forward and made to go faster, and
//     all that waits by it wakes up in time. Timeouts of connections are the system's, because the network is as fast as ever.
//
// Faults and clock are of this run: after the next start there are none, and it is the time that it is. A queue whose clock was ahead
// takes that for a clock that was set back, and waits for no time that is too far ahead.
package world
