// Package pop3d is a POP3 server.
//
// It speaks RFC 1939, with CAPA (RFC 2449), STLS (RFC 2595), the response codes
// AUTH, SYS/TEMP, SYS/PERM (RFC 3206) and IN-USE (RFC 2449 §8.1.1), AUTH (RFC
// 5034) with SCRAM-SHA-256 (RFC 5802, 7677), PLAIN (RFC 4616) and LOGIN, UTF8 and
// LANG (RFC 6856), TOP, UIDL, and pipelining (RFC 2449 §6.6). APOP is not offered:
// it needs the password in the clear on the server.
//
// Two extensions are its own. The capability X-POSTERN-ADMIN, after the login, says
// that the account is an administrator's: it may look after the server on the
// service "control" (package controld). The capability X-POSTERN-WAIT says that there is a
// command, valid in the TRANSACTION state,
//
//	XWAIT seconds
//
// with 1 to 1740 seconds. The server gives up the maildrop's lock, deletes
// nothing, and answers
//
//	+OK waiting
//
// at once. Later, when the maildrop holds a message that it did not hold at
// login, it answers
//
//	+OK new
//
// or, when the time is over or the client says anything at all,
//
//	+OK none
//
// and closes the connection. A client may close it at any time. So a client
// learns of new mail when it comes, without holding the lock against others
// and without polling.
package pop3d
