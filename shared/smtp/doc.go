// Package smtp is a client for the submission of mail (RFC 6409) by the Simple Mail Transfer Protocol:
//
//   - SMTP (RFC 5321), over TLS from the first octet (RFC 8314) or by STARTTLS (RFC 3207)
//   - AUTH (RFC 4954) by every mechanism of package sasl
//   - SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531), CHUNKING (RFC 3030), PIPELINING (RFC 2920)
//   - requests for reports of delivery, DSN (RFC 3461, RFC 6533)
//   - enhanced status codes (RFC 2034, RFC 3463, RFC 5248), and what they mean in a sentence ([Error.Explain])
//
// It stands on github.com/emersion/go-smtp, which speaks the greeting, EHLO, AUTH, NOOP and QUIT. STARTTLS and the transaction
// (MAIL, RCPT, DATA, BDAT, RSET) are spoken here, on the same guarded connection: STARTTLS to the octet, the
// transaction in as few turns as the server allows. Around both there is what a mail client needs: a context on each call,
// bounds on what a server may answer, one reply to each command and none unasked, recipients refused one by one, and an
// outcome for the moment that SMTP leaves open: the connection that is cut between a message's last word and its answer
// ([ErrUnknown]).
//
// A [Client] takes a connection that somebody else has made and does no I/O until its first command. Several messages
// can be sent over one connection.
//
// # Failures
//
// A server's refusal is an [*Error], and the session goes on. Everything else that goes wrong on the wire (the connection, a limit,
// nonsense, a context that ends during a command) closes the connection, and every later command returns [ErrState].
//
// # What is held in memory
//
// Of a reply, at most Options.MaxReply octets (64 KiB), of a line of it 2,000; of a message, 32 KiB as it is read, three times
// that as it leaves, and a chunk of 256 KiB where it goes by BDAT. A server that floods, or says a line of 100 MB, costs
// no more.
//
// # Turns
//
// With PIPELINING, MAIL, every RCPT and DATA go out in one packet (in groups of a hundred, so that the replies cannot fill
// the way back while nobody reads them), and each reply is matched with its command: two turns for a message, where the
// lock-step takes three and one for each recipient. The message never goes out before all are read: what is refused is
// known first, and a message can only be of unknown fate when its last word was said.
//
// # Chunks
//
// BDAT is used where the server has CHUNKING and it pays: for a message of 1 MiB or more, as each chunk is answered, so that
// a refusal comes early and progress is what the server has; and for one with a line of more than 998 octets, which after
// DATA a server may break or refuse (RFC 5321 section 4.5.3.1.6). Without CHUNKING such a line goes out as it is: to break it
// here would change the message, and to refuse it would refuse what most servers take. For everything else DATA takes no more
// turns, and more servers get it right.
//
// # Characters
//
// A domain beyond ASCII goes out as A-labels (RFC 5890), which every server takes; a local part beyond ASCII, or a header in
// UTF-8 (RFC 6532), needs SMTPUTF8, and octets above 127 need 8BITMIME. Where the server has not what the message needs, it is
// refused in words before anything is sent ([*UnsupportedError]); nothing is converted, as that would break signatures.
//
// # Smuggling
//
// A lone CR or LF in a message would be a line end to one server and not to the next, and a dot between two of them the end
// of one message and the start of a forged one (SMTP smuggling). None leaves this client, by DATA or by BDAT: each becomes
// CRLF, as RFC 5321 section 2.3.8 demands, and every dot at the beginning of a line is doubled after DATA. Addresses, names
// and parameters with anything in them that could end a command are refused before anything is sent.
package smtp
