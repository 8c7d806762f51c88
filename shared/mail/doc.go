// Package mail reads messages as the world writes them, and writes them as the standards want.
//
// Reading never fails: Summarize and Parse answer what can be made of the octets, and Message.Note says what could not.
// Real mail has mbox lines in front, header lines without a colon, boundaries that never close or are empty, charsets
// that do not exist, and octets where none may be; hostile mail has all of these on purpose, nested ten thousand deep.
// So the reader works on the octets themselves, top down, within the bounds given in limits.go; charsets are those of
// the Reader's Charsets. (go-message's own reader, which answers an error for each of the above, was tried first.)
//
// Writing refuses what cannot be written well: Compose answers an *AddressError for an address that is none. What it
// writes is 7-bit, has lines of at most 998 octets, ends each in CRLF, and cannot be made to hold a header field that
// the draft does not have.
//
//   - RFC 5322: Internet Message Format
//   - RFC 2045, RFC 2046: MIME bodies and media types
//   - RFC 2047: encoded words in headers
//   - RFC 2183: Content-Disposition
//   - RFC 2231: parameters in other charsets and in pieces
//   - RFC 2152: UTF-7
//   - RFC 2392: cid: URLs
//   - RFC 3464, RFC 6522, RFC 6533: reports about delivery (read)
//   - RFC 3492, RFC 5890: domains beyond ASCII
//   - RFC 6532: UTF-8 in headers (read, not written)
//   - RFC 8621 section 4.1.4: which parts are the body and which are attachments
package mail
