// Package smtp is a client for the submission of mail (RFC 6409) by the Simple Mail Transfer Protocol.
//
// It stands on github.com/emersion/go-smtp, which speaks:
//
//   - SMTP (RFC 5321), with 8BITMIME (RFC 6152), SIZE (RFC 1870), SMTPUTF8 (RFC 6531)
//   - enhanced status codes (RFC 2034, RFC 3463)
//   - AUTH (RFC 4954) with PLAIN (RFC 4616), or LOGIN where a server has nothing better
//
// and adds what a mail client needs around it: a context on each call, STARTTLS (RFC 3207) that is read to the octet, bounds
// on what a server may answer, recipients refused one by one, and an outcome for the moment that SMTP leaves open: the
// connection that is cut between the final dot and its answer ([ErrUnknown]).
//
// A [Client] takes a connection that somebody else has made and does no I/O until its first command. Several messages
// can be sent over one connection.
//
// # Failures
//
// A server's refusal is an [*Error], and the session goes on. Everything else that goes wrong on the wire (the connection, a limit,
// nonsense, a context that ends during a command) closes the connection, and every later command returns [ErrState].
//
// # Smuggling
//
// A lone CR or LF in a message would be a line end to one server and not to the next, and a dot between two of them the end
// of one message and the start of a forged one (SMTP smuggling). None leaves this client: each becomes CRLF, as RFC 5321
// section 2.3.8 demands. Addresses and names with anything in them that could end a command are refused before anything
// is sent.
package smtp
