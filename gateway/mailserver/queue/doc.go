// Package queue sees to it that what waits for other servers is tried, tried again, and in the end delivered or given back.
//
// The queue itself is maildrop's: a row for each recipient. A Queue claims the rows of one message and one destination, has
// them delivered, and settles what came of it. A row is marked as being sent, durably, before another server can have the
// message, so that after a crash it is known which messages may have gone out twice: they are tried again (RFC 5321 section
// 6.1 prefers that to a loss), and the log says so.
//
// A temporary failure is tried again after a while, and then at growing intervals; after some hours the sender is told that it
// takes long, and after some days that it could not be done (RFC 5321 section 4.5.4.1). A permanent one is reported at once. A
// report and the end of what it reports of are one commit, so nobody is told twice, or never. Reports go out as the sender wants
// them (RFC 3461, package dsn), from the null sender, and nobody is told what became of a report.
//
// A destination whose servers cannot be reached is left alone for a while, as a whole, and others do not wait for it.
package queue
