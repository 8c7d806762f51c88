// Package testbed starts real mail servers for tests: Dovecot (POP3) and Postfix (SMTP), on free ports of
// 127.0.0.1, in a folder of their own, each test its own, with a certificate authority of its own. Mail that Postfix
// accepts is in Dovecot's maildrops. Nothing leaves the machine: Postfix knows no DNS and refuses all other domains.
//
// The script install, beside this file, installs them on Debian. Where they are missing, or the test is not run by
// root (both servers change to users of their own), Start skips the test and says why.
package testbed
