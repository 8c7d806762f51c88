// Package mailserver is the mail server that lives inside the gateway: SMTP
// in, submission, and POP3 out, over a store of its own.
//
// It plays either end of a message's journey. Its users submit mail on
// "submission" (STARTTLS) or "submissions" (TLS from the first byte); the
// world hands mail over on "smtp"; its users take mail out on "pop3" (STLS)
// or "pop3s". What is addressed to one of its own domains goes to a maildrop;
// what is not waits, durably, in the queue.
//
// The promise is that nothing acknowledged is lost: no 250 is said before the
// message's content and the index row that names it are both on the disk (see
// package maildrop).
//
// An administrator looks after the accounts, their aliases and quotas, the queue
// and the backups (Admin): over a socket in the data folder while the server
// runs, and on the folder itself while it does not. Who has an account that is an
// administrator's sees the queue, and changes it, from the page: over TLS and SASL
// on "control". Package controld is both, shared/control what is said.
//
// Its users are those of the gateway's other servers, too, by an ID that outlives a change of address (identity.go): what they
// keep there goes into the backups, and away with the account.
//
// Whom greylisting knows, and the MTA-STS policies of others, outlive a restart
// (memory.go).
//
// Several such servers with a DNS, a network and a clock of their own are a world
// in which mail is tried out, and things go wrong on purpose: package world.
//
// RFCs: 5321 (SMTP), 6409 (submission), 8314 (TLS from the first byte), 3207
// (STARTTLS), 4954 (AUTH), 1870 (SIZE), 2920 (PIPELINING), 3030 (CHUNKING),
// 2034 (enhanced codes), 6152 (8BITMIME), 6531 (SMTPUTF8), 1939 (POP3), 2449
// (CAPA), 2595 (STLS), 3206 (AUTH and SYS response codes), 5034 (SASL in
// POP3), 6856 (UTF8 and LANG in POP3), 5802 and 7677 (SCRAM-SHA-256), 5803 (its
// keys), 5233 (user+tag), 9106 (argon2), 3461 and 3464 (DSN), 7208 (SPF), 6376
// (DKIM), 7489 (DMARC), 8601 (Authentication-Results), 7505 (null MX), 8461
// (MTA-STS).
package mailserver
