// Package ftp is a client for the File Transfer Protocol, in passive mode:
//
//   - FTP (RFC 959, with RFC 1123 section 4.1): USER, PASS, CWD, CDUP, PWD, TYPE I, PASV, RETR, STOR, APPE, REST, ABOR, RNFR, RNTO,
//     DELE, MKD, RMD, LIST, NOOP, QUIT
//   - EPSV (RFC 2428), FEAT and OPTS (RFC 2389), names in UTF-8 (RFC 2640)
//   - SIZE, MDTM, REST in STREAM mode, MLST and MLSD (RFC 3659), and MFMT (draft-somers-ftp-mfxx)
//   - TLS: AUTH TLS, PBSZ and PROT (RFC 2228, RFC 4217), and TLS from the first octet (port 990)
//
// A [Client] takes a control connection that somebody else has made and does no I/O until its first command. Data connections
// are opened by [Options.Dial], which is given a port and nothing else: whatever host a server names, one goes to that
// of the control connection. So both go through a tunnel as well as over TCP; package tunnel's Conn has a method for it.
//
// # Two connections
//
// What the server holds of a session is modelled in [State]: who one is, where one is, what is being renamed, where the next
// transfer starts, and what moves on the data connection. [Options.Trace] is told what is said on the control connection and what
// becomes of each data connection, in one order. The password is masked in it.
//
// Data goes under TLS if the control connection does (PROT P), and each data connection resumes the control connection's TLS session, as
// servers demand that want to know that both are the same person's (vsftpd's require_ssl_reuse). Its certificate is checked as the
// control connection's was.
//
// A transfer is complete when both have been: the data's end and a reply of 2yz. The end of data is a closed connection,
// which looks the same when somebody on the way has cut it. TLS tells the difference, and where it did not, or where there is no TLS,
// the size does, if it is known: see [Client.Retr] and [ErrTruncated].
//
// # Failures
//
// A server's refusal is an [*Error], with its code and words, and the session goes on. So it does after a transfer that was broken
// off ([ErrAborted]), by a context that ended or by the reader or writer at this end, and after data that stood still or a listing over
// the limit: client and server come to terms by ABOR, within [Options.AbortTimeout]. Everything else that goes wrong on the control connection
// closes both, and every later command returns [ErrState].
//
// Between transfers, it is for the caller to say [Client.Noop] now and then. During one the client does.
//
// # Hostile servers
//
// A listing is streamed: memory depends neither on its length nor on what is in it. Lines, replies and the number of entries have
// limits ([Options]). A name is what the server says it is, and may hold anything but a line feed: [Entry.Shown] is fit to be shown,
// and [Entry.Path] refuses what would be a way out of the folder that was listed, or another command. A server must answer
// within [Options.Timeout], and data must not stand still for [Options.DataTimeout].
//
// # Why not github.com/jlaffaye/ftp
//
// The Go client that is in use, github.com/jlaffaye/ftp v0.2.4, does not serve here, by its source. Its Dial asserts that the
// control connection's address is a *net.TCPAddr, and panics with a tunnel's. With a dial function of one's own it puts TLS over
// no data connection (openDataConn returns what the function returns), nor does it tell the function which connection is
// wanted. It resumes TLS sessions only by what the caller's cache happens to hold. It breaks nothing off: no ABOR, no
// context after Dial, no NOOP in a transfer, and a listing or an upload that stands still holds it up for good. An upload that fails in the middle is
// closed as one that is whole. Listings are collected, without a limit, and lines that it cannot read are passed over in
// silence; replies have no limit at all. Refusals of USER and OPTS are plain text without their code, the working
// folder and what is being renamed are not kept, and its transcript (DialWithDebugOutput) has the password in it, and the files.
package ftp
