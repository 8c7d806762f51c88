// Package maildrop keeps mail on the disk: what waits in the users' maildrops
// (RFC 1939 §3) and what waits in the queue for other servers.
//
// A message's content is a file that never changes after it is written; an
// index in SQLite says whose it is. One content can be in many maildrops and
// in the queue at once; its file goes when the last row that names it is gone.
//
//	index.db                     accounts, aliases, contents, messages, queue
//	tmp/                         contents being received
//	content/0000/000000000001.eml
//	journal/                     small contents that have no file yet, or one that is not flushed (journal.go)
//	unclaimed/                   what start-up and Check found and did not dare to delete
//
// Deliver returns only when the content, the folder entry and the index row
// are on the disk, in that order, so that a crash leaves a message wholly
// there or wholly not. A small content is on the disk as part of the journal: it
// gets its file when there is time, and is read from the journal until then
// (fresh.go); after a crash Open makes the files that are missing. Deliveries
// that arrive together share one flush of the journal and one of the index (group
// commit).
//
// New mail leaves a part of the disk free (Options.Reserve): on a full one
// nothing could be deleted, nor noted of what other servers have.
//
// A message's unique-id (RFC 1939 §7) is given once and never again: not after
// a deletion, a restart, or the restoring of an older copy of the folder.
//
// Check finds what does not agree, for an administrator, and mends what can be
// mended without guessing. Backup copies a store that is in use; Export and
// Import carry an account's messages.
package maildrop
