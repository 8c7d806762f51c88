// Package delivery is the sending half of a mail server: it finds out where the mail for a domain goes, connects there, and
// hands a message over, once. It knows no queue: who calls it decides whether and when to try again.
//
// A route is that of RFC 5321 section 5.1: MX records by preference, the domain itself where it has none, nothing at all where
// it says so (RFC 7505), an address literal, or one smarthost for everything. TLS is used wherever the server offers it,
// whatever its certificate, and what came of it is in the result; a domain with a policy (RFC 8461, package mtasts) gets its
// mail by verified TLS or not at all.
//
// A connection is kept for the next message to the same destination. A destination has few of them at a time, addresses
// that do not answer are remembered for a while, and nobody else waits for them.
//
// A message that a server cannot take as it is (RFC 6152 section 3, RFC 6531 section 3.2) is made 7-bit if its parts allow that,
// and given back if not.
package delivery
