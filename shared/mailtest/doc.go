// Package mailtest has what tests of mail programs need: connections in memory that misbehave on command, POP3,
// SMTP and FTP servers in memory, certificates good and bad, and messages that look like real ones and are the same at every run.
// Tests alone import it.
//
// The packages pop3suite, smtpsuite and ftpsuite hold the tests that every server must pass with our clients, be it in memory,
// real, or our own; the package testbed starts the real ones.
package mailtest
