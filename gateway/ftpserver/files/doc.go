// Package files keeps the files of users: one folder for each, which cannot be left, with a quota.
//
// # Nothing leads out
//
// Every path is walked from the user's folder down, one name at a time, by file descriptor (os.Root). Only regular files with
// one name and real folders count. Symbolic links, wherever they lead, hard links, devices, sockets and pipes, which other
// programs may have put there, are not listed, opened or entered, and a name that becomes one between the look and the opening
// is refused as well: what was opened must be what was seen. Pipes cannot make an opening wait.
//
// # What an upload promises
//
// Close answers nil only when the content and the name are on the disk. Until then:
//
//   - A new name is written under that name from its first octet on. If the rest does not come (a cut, a restart, a crash) what
//     was received stays, and APPE, or REST with the size that SIZE tells, goes on behind it.
//   - A name that is there already is replaced in one step when the new content is whole: whoever reads it meanwhile has the old
//     one, and a crash, or an upload that is refused, leaves the old one. A cut is different: a client that comes back to go on
//     asks for the size, and must find the part that was received, not an old version that its rest would be put behind. So the
//     part takes the name, as on every FTP server.
//   - What goes on behind a part is written to it. An upload that is over the quota leaves it as it was before. One that begins at an
//     octet within it gives up what was behind, with its own first octet.
//
// One upload at a time writes to a name. Another is refused, unless the first has not moved for a while (Limits.Silence): then
// it is one whose client is gone, most likely the very one that comes back.
package files
