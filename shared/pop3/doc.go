// Package pop3 is a client for the Post Office Protocol, version 3.
//
// It implements:
//
//   - POP3 (RFC 1939), with the optional commands USER, PASS, TOP and UIDL
//   - the extension mechanism CAPA, response codes and PIPELINING (RFC 2449)
//   - STLS (RFC 2595 section 4)
//   - the response codes SYS/TEMP, SYS/PERM and AUTH (RFC 3206)
//   - XWAIT, an extension of Postern's own server, see [Client.Wait]
//
// A [Client] takes a connection that somebody else has made and does no I/O until its first command. The states are
// those of RFC 1939: AUTHORIZATION until [Client.Login], then TRANSACTION, then UPDATE while [Client.Quit] waits for
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
// # Bounds
//
// Message content is streamed: memory does not depend on the size of a message or the length of its lines. Status
// lines, scan listings, unique-id listings and messages are limited by [Options]. A server must answer within
// Options.Timeout and then deliver at least one kibibyte in each further Options.Timeout spent waiting for it, so a
// server that sends one byte a minute is a server that stalls.
package pop3
