// Package authenticity answers whether a message comes from whom it says, and
// signs those that go out.
//
// A Verifier evaluates SPF (RFC 7208) of the client and the reverse-path, DKIM
// (RFC 6376, 8301, 8463) of the message as it passes by, and DMARC (RFC 7489)
// of the two, and writes what it found as an Authentication-Results field (RFC
// 8601). A Signer makes the DKIM signatures of submitted mail; Records are what
// a domain publishes so that others can check them.
//
// What it asks of the DNS is bounded, in number, size and time: a peer chooses
// the names, and may own the servers that answer. No answer in time is
// "temperror", never a wait: mail is taken, and judged by what is known.
//
// Of DMARC's policies, "quarantine" and "reject" make a message junk; whether
// "reject" refuses it is the caller's to say. "pct" is not a die to be cast
// (DMARCbis removes it, for nobody can explain its outcome): pct=0 means what
// DMARCbis writes as t=y, one step down from the policy, and any other value
// means the whole of it. Reports are not sent.
package authenticity
