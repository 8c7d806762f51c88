// Package controld carries the protocol of shared/control to a mail server in two
// ways.
//
// Commands reach it over a socket in the data folder, which only the folder's
// owner can open (Listen, Dial): who can connect may do everything.
//
// An administrator's page reaches it over TCP (Server): TLS from the first octet,
// so that a gateway on the way sees ciphertext alone, then a login by
// SCRAM-SHA-256 or PLAIN (RFC 4422) as an account that is an administrator's, and
// then the operations that are for a page, control.Page. The login passes the
// same gate as those of POP3 and SMTP, so that who guesses is slowed down at all
// of them; and who gave the right password of another account is answered as who
// gave a wrong one.
package controld
