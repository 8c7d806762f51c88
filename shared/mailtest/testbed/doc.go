// Package testbed starts real mail servers for tests: Dovecot (POP3) and Postfix (SMTP), on free ports of
// 127.0.0.1, in a folder of their own, each test its own, with a certificate authority of its own. Mail that Postfix
// accepts is in Dovecot's maildrops. Nothing leaves the machine: Postfix knows no DNS and refuses all other domains.
//
// Each user logs in by USER, APOP, PLAIN, LOGIN, CRAM-MD5 and SCRAM-SHA-256, and with a token ([Bed.Token]) by OAUTHBEARER and
// XOAUTH2. There are more ways in with certificates that are not to be believed ([Bed.Doors]), on addresses of loopback of
// their own, and one to a Dovecot that locks maildrops ([Bed.Locking]).
//
// Postfix takes mail to one more domain, [Bed.NeighbourDomain], to whoever listens at the port [Bed.Neighbour]. Servers that take no mail are
// [Sinks].
//
// Beside them there are FTP servers ([FTP]), pure-ftpd and vsftpd, in plain text and under TLS, explicit or implicit; vsftpd demands
// that data connections resume the control connection's session.
//
// The script install, beside this file, installs them on Debian. Where they are missing, or the test is not run by
// root (both servers change to users of their own), Start skips the test and says why.
package testbed
