// Package engine is the mail user agent: it keeps the accounts, fetches their mail, sends what is in their outboxes,
// and answers the page's calls (client/api). It speaks POP3 (RFC 1939), message submission (RFC 6409) and FTP (RFC 959)
// itself, with TLS that ends in this process, over streams that the gateway carries to the servers.
//
// # Parts
//
// An Engine has accounts; an account has a mailbox (client/store) in a folder of its own, one goroutine that fetches
// (sync.go, poll.go) and one that sends (sender.go). What a page asks is answered from the mailbox, so everything but
// signing in works without the gateway.
//
// # What is durable when
//
// A fetched message counts as known only with its content, in the same update of the mailbox, so a cut at any moment
// loses nothing and fetches nothing twice. What came whole before a cut is kept, and the next session goes on with the
// rest; while sessions get on, the pauses between them do not grow. Mail stays on the server unless the account
// says otherwise: leave.go has when DELE is said, and what comes of a QUIT that is not confirmed. Of a message over the
// account's size cap the beginning is fetched (rest.go).
//
// # Servers that are not as they should be
//
//   - without UIDL, with unique-ids that are empty, malformed, repeated, changed, or used again: identity.go, leave.go
//   - with a STAT that is wrong, or the same for other messages: lastlook.go
//   - that want to be left alone between logins, or delete mail by themselves: terms.go
//   - whose maildrop is in use: inUsePauses
//   - that drop the line after some messages: above; while removing: mostRemovals
//   - whose TOP is missing: large mail is left there, and said; messages are compared by all of their content
//
// One thing cannot be seen without fetching everything again and again: a unique-id that was given to another message
// of the same maildrop. It is noticed before a DELE, and only then.
//
// A message to be sent goes through the states of api.OutboxState, and each is in the mailbox before the wire sees what
// follows from it: "sending" before the envelope, a finer mark (stateCommitting) before the final dot of RFC 5321
// section 4.5.2, "sent" with the move to the folder Sent. An engine that finds "sending" at its start sends again, for
// the server cannot have taken the message; one that finds the finer mark cannot know, calls it "unknown", and leaves
// the choice to the user.
//
// # Looking after the mail server
//
// An account that looks after the gateway's own mail server is told so by it over POP3, after the login (the capability
// X-POSTERN-ADMIN). Its page sees the server's queue over connections of their own (desk.go), which begin when it asks,
// sign in by the account's password (shared/control) and end when nobody has asked for a while.
//
// # Files
//
// A site is an FTP account (site.go), and its server speaks shared/ftp through the tunnel: a control connection for
// whoever looks and one for each transfer (sitedial.go), kept for a while when nobody uses them (sitepool.go), data connections beside
// them. Folders are listed into memory (filelist.go, foldercache.go), and what is done to them is noted there.
//
// A transfer (transfer.go, transfers.go) is in a journal of its own (transferlog.go), and goes on from there in the next
// run. A download counts as much as is synced on the device and in the journal, only while the server's file has the size and time that
// it had, and only if what comes goes on from it (download.go). An upload goes to a name of its own, counts what the server has of that, and
// gets its own name when all of it is there (upload.go, uploadname.go); its file comes from a page, piece by piece (feeder.go), or from the
// mailbox. So no file that has the name of a whole one is a part of one, here or there, whatever is cut, and one that is replaced is
// there until then. What a canceled one leaves at the server is removed when that is met next (leftovers.go). A file for a draft is a
// transfer in memory (attachfile.go); one that is too large for the mail (mailsize.go) goes to a site, and a link to it by mail.
//
// A deletion waits for the time in which it can be taken back, and is in memory alone (deletion.go).
//
// # Secrets
//
// Passwords live in memory and, when the user asked to keep them, in the Vault; there, if the user has set a passphrase,
// sealed under a key that is made of it (keyring). They are in no log line, no event, no transcript and
// no file of the store.
package engine
