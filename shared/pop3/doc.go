// Package pop3 is a client for the Post Office Protocol, version 3.
//
// It implements:
//
//   - POP3 (RFC 1939), with the optional commands USER, PASS, APOP, TOP and UIDL
//   - the extension mechanism CAPA, with response codes, PIPELINING, EXPIRE, LOGIN-DELAY and IMPLEMENTATION (RFC 2449)
//   - STLS (RFC 2595 section 4) and TLS from the first octet (RFC 8314 section 3.3)
//   - the response codes SYS/TEMP, SYS/PERM and AUTH (RFC 3206)
//   - AUTH (RFC 5034), with the mechanisms of the package sasl
//   - UTF8 and LANG (RFC 6856)
//   - XWAIT, an extension of Postern's own server, see [Client.Wait]
//
// A [Client] takes a connection that somebody else has made and does no I/O until its first command. The states are
// those of RFC 1939: AUTHORIZATION until [Client.Auth], then TRANSACTION, then UPDATE while [Client.Quit] waits for
// its answer. A command that its state does not allow returns [ErrState] and sends nothing.
//
// # Failures
//
// A server's refusal is an [*Error], and the session goes on. Everything else that goes wrong on the wire (the
// connection, a limit, nonsense, a context that ends during a command) leaves client and server in disagreement about
// where in the conversation they are: the client closes the connection, its state is [Closed] and every later command
// returns [ErrState]. Messages already handed over are whole, and nothing is deleted by a session that did not reach
// UPDATE (RFC 1939 section 6).
//
// # What servers get wrong
//
// What becomes of it, decided once:
//
//   - no UIDL: [ErrUnsupported]; the caller has to know messages by their content
//   - unique-ids that are missing or malformed are given as "", repeated ones as they are: see [Client.UIDL]
//   - a wrong STAT, or wrong sizes in LIST: nothing goes by them but the number of octets asked for ahead
//   - the line dropped after some messages: those are whole; the next session asks for the others
//   - the mailbox locked: an [*Error] with IN-USE, which [Error.Temporary] reports, announced or not
//   - QUIT without an answer: [ErrUnconfirmed]; refused, an [*Error]
//   - bare LF for a line end, everywhere
//
// # Bounds
//
// Message content is streamed: memory does not depend on the size of a message or the length of its lines. Status
// lines, scan listings, unique-id listings and messages are limited by [Options], challenges by 12,288 octets. One connection takes a
// buffer of 128 KiB, and a listing what its lines take. A server must answer within
// Options.Timeout and then deliver at least one kibibyte in each further Options.Timeout spent waiting for it, so a
// server that sends one byte a minute is a server that stalls.
package pop3
