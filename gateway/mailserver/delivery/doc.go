// Package delivery hands messages to the servers of their recipients: the client side of a mail server. It knows no queue and no
// store: a [Deliverer] tries once, and says for each recipient what became of it.
//
//   - SMTP (RFC 5321) by package smtp: PIPELINING, CHUNKING, SIZE, 8BITMIME, SMTPUTF8, DSN, enhanced status codes
//   - the way by the DNS: MX by preference, equal ones shuffled, the implicit MX, null MX (RFC 7505), address literals, IPv6 and IPv4 by
//     turns; or a smarthost
//   - STARTTLS wherever it is offered (RFC 3207, RFC 7435), and strictly where the domain's MTA-STS policy wants it (RFC 8461, package
//     mtasts)
//   - 7-bit transcoding (RFC 6152 section 3, RFC 2045) for servers without 8BITMIME, and of lines that are too long
//   - loops found by this server's own name in the MX records, and by the number of Received fields
//
// # An attempt
//
// A message goes to one destination: a domain, an address literal, or the smarthost. The attempt looks for an idle connection to
// it first, and then goes through the hosts and their addresses in order. What ends it for a recipient is a result, good or bad: the
// acceptance or refusal of the message, or the refusal of the recipient. What does not (no connection, a greeting that refuses, 421 at
// any time, MAIL refused for now, a connection cut before the last word) makes the next host be tried, within this attempt; if
// none has a result, the most hopeful of these answers is the result.
//
// A connection that is cut after the message's last word leaves its fate [Unknown]: nobody can know whether the server has it, and no
// other host is given it.
//
// # Who waits for whom
//
// An attempt waits for one of its destination's turns (Limits.PerDestination), in the order of coming. With it, it waits for room to
// connect (Limits.Dials, many), and with a session begun, for room for that (Limits.Connections). So a destination that is dead, or
// accepts connections and says nothing, keeps its own messages waiting, and nobody else's; and having failed, its address is remembered for
// a moment, so that of a thousand messages one has waited. A session idle for the longest gives way to a new one. To a server that
// answers "too many connections", while others are open, the message goes by one of those.
//
// # What is held in memory
//
// Of a message, what is on its way through (some 100 KiB for a session), and a line for each of its MIME parts when it has to
// be transcoded. Routes, dead addresses and policies are remembered so many at most (Limits.Remembered).
//
// # Safety
//
// A stranger's DNS cannot make this server connect to itself or to its neighbours: every address is put to Config.Refuse, which by
// default refuses all that is not of the public internet, and the checked address is the one that is dialled. What a server says is
// bounded, and printable in results and transcripts.
//
// TLS without a policy is opportunistic: any certificate will do, and if the handshake fails, one more connection goes without. Who
// listens on the way hears nothing then; who can change what is on the way is stopped by a policy alone. What came of it is in
// [Result.TLS].
package delivery
