// Package ftpserver is the FTP server that lives inside the gateway: the users of the mail server, one folder for each, over
// github.com/fclairamb/ftpserverlib.
//
// # What the library does, and what is done here
//
// The library knows the commands about files and folders, and runs a transfer beside the control connection. What a server on
// the Internet must not leave to chance is between it and the client: a session is the connection that the library sees. It
// reads each line first. What concerns TLS, data connections and the server itself is answered here, and what the library reads
// is well-formed, in order and allowed; what the library answers passes through, or is put into better words. Each session has
// a server of the library's of its own, so that its settings are the session's.
//
//   - TLS (RFC 4217) is begun here: AUTH TLS once, before the login; PBSZ, PROT. Data connections resume the session of the
//     control connection where a client offers it, and then each time: see resume.go.
//   - Data connections (PASV, EPSV, PORT, EPRT; RFC 2428) are opened here: at the address by which the client came, in the range
//     of ports that was set, from and to the client's own address alone, never to a port below 1024 (RFC 2577), and each read
//     and write of theirs has an end. The library is handed the connection when it is there.
//   - The gateway that a server is in connects for its own clients within the process (Inside), and for their data connections, too
//     (OpenData): all of them come from this machine, where no address tells them apart, and so none is asked. For them no port is
//     opened, and nothing is connected to.
//   - ABOR, STAT and the idle time know of the transfer that is under way. REST and RNFR hold for the command that they are for, and
//     no longer.
//   - Ports, transfers and listings are counted for each user. A port that is told and not used is given back.
//   - Files travel as they are, under TYPE A as well: a client that forgets TYPE I spoils nothing.
//
// Who has signed in is asked about again and again: a session ends soon after its user may not go on. Browsers, which others may
// lead here for a page of the web server with the same certificate, are not answered (ALPN).
//
// A password is taken over TLS, or from this machine; of wrong ones a connection may try three, each answered later than the one
// before. There is no anonymous login and no SITE.
//
// RFCs: 959 (FTP), 1123 (section 4.1), 2228 and 4217 (TLS), 2389 (FEAT, OPTS), 2428 (EPSV, EPRT), 2577 (security), 2640 (UTF-8),
// 3659 (SIZE, MDTM, REST, MLSD, MLST), draft-somers-ftp-mfxx (MFMT), draft-peterson-streamlined-ftp-command-extensions (AVBL).
package ftpserver
