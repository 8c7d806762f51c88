// Package store keeps a mailbox on this device: messages as they came, and what happened to them since.
//
// # Files
//
// A mailbox is a folder with two append-only logs. content.log holds octets: messages, and blobs that drafts refer to.
// journal.log holds updates; a message's journal record says where in content.log its octets are and which sum
// they have (sum.go). All that List, Get and the others answer is derived from the journal when the mailbox is opened, and kept in
// memory.
//
// Both logs begin with a header of 24 octets, all numbers little-endian:
//
//	magic [8]byte   "PstnJrnl" or "PstnCont"
//	version uint32  2; another is refused with a *VersionError
//	marker uint32   random, the same before every frame of this file
//	reserved uint32 0
//	check uint32    CRC-32C of the 20 octets before
//
// and go on with frames:
//
//	marker uint32
//	length uint32   of the payload, at least 1
//	sum uint32      of the payload: in journal.log CRC-32C, in content.log the first octets of its sum under the key
//	check uint32    CRC-32C of the 12 octets before and of the frame's offset in the file as a uint64
//	payload [length]byte
//
// The second check lets a reader trust length before it reads, and lets it find the next frame behind a damaged one: a
// frame is one only at its own offset and with the file's own random marker, so that a message whose text is a copy of
// a frame is not taken for one. The payload in content.log is the octets themselves; in journal.log it is one update
// (journal.go).
//
// # What is never forgotten
//
// A message that was fetched has a unique-id, and may get more of them when a server names it anew. All of them and the
// sum of its content stay known when the message is erased: some 150 octets of memory each, against the day on which
// the server names its messages anew, or comes back from a backup, and all that was erased would be there again.
//
// # Durability
//
// Update is all or nothing. It writes the new octets, syncs content.log, writes one journal frame, syncs journal.log, and
// only then changes what readers see. An update that answers nil survives any crash; one in flight survives whole or
// not at all. When something fails (no room, most often) what was written is cut off again, and the mailbox goes on
// as if the update had never been tried; if even that fails, reading goes on and the next Update mends it first.
//
// # Recovery
//
// Open reads the journal to its end. A bad frame with no good one behind it is an update that was in flight: it is cut
// off. A bad frame with good ones behind it is damage (a flipped bit, a lost sector): the updates in it are lost, those
// behind it are kept, the file is left as it is, and Recovery says so, each time. content.log is never cut by Open, so
// nothing that was written is made worse; every read of content checks their sum, and octets that changed are an
// error that is ErrCorrupt, never an answer.
//
// # Concurrency
//
// Any number of goroutines may read while one updates. Readers never wait for the disk: an Update holds the lock that
// they share only while it swaps the finished change in. Lists are persistent trees of two levels, so a List with a slow
// match callback works on a snapshot and holds nobody up.
package store
