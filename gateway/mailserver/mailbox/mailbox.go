// Package mailbox reads and writes the two forms in which other programs keep
// mail in files: Maildir (https://cr.yp.to/proto/maildir.html) and mbox (RFC
// 4155, with the quoting called mboxrd), and the tar in which a server imports
// and exports it.
//
// Both have lines that end in LF, where mail on its way has CRLF (RFC 5322 §2.3);
// what is read has CRLF, and what is written LF.
//
// The mbox is read and written here because github.com/emersion/go-mbox knows
// mboxo alone, which loses a ">" before "From " that was the sender's, and adds
// an empty line to a message that ends in one: what was exported would not be
// what is imported, and be taken for other mail.
package mailbox

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

// MaxMessage bounds one message that is read, in octets: five times what any
// public provider takes.
const MaxMessage = 256 << 20

// ErrTooLarge says that a message has more octets than MaxMessage.
var ErrTooLarge = errors.New("mailbox: message too large")

// Message is one message and what is known of it beside its octets.
type Message struct {
	UID      string    // unique-id that it had in the maildrop it was exported from; "" is unknown
	Received time.Time // zero: unknown
	Text     []byte    // lines end in CRLF
}

// WriteTar writes messages as maildrop.Store.Import reads them, until one of
// them is an error.
func WriteTar(w io.Writer, messages iter.Seq2[Message, error]) error {
	out := tar.NewWriter(w)
	for m, err := range messages {
		if err != nil {
			return err
		}
		h := tar.Header{Name: m.UID, Size: int64(len(m.Text)), Mode: 0o600, ModTime: m.Received, Format: tar.FormatPAX}
		if h.Name == "" {
			h.Name = "new message" // no unique-id has a space
		}
		if err := out.WriteHeader(&h); err != nil {
			return err
		}
		if _, err := out.Write(m.Text); err != nil {
			return err
		}
	}
	return out.Close()
}

// ReadTar reads what maildrop.Store.Export wrote.
func ReadTar(r io.Reader) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		in := tar.NewReader(r)
		for {
			h, err := in.Next()
			if err == io.EOF {
				return
			}
			var text []byte
			if err == nil {
				text, err = readAll(in)
			}
			if err != nil {
				yield(Message{}, err)
				return
			}
			if !yield(Message{UID: h.Name, Received: h.ModTime, Text: text}, nil) {
				return
			}
		}
	}
}

// readAll reads a message, at most MaxMessage octets of it.
func readAll(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxMessage+1))
	if err == nil && len(text) > MaxMessage {
		err = fmt.Errorf("%w: more than %d octets", ErrTooLarge, MaxMessage)
	}
	return text, err
}

// toCRLF ends lines in CRLF that end in LF alone.
func toCRLF(text []byte) []byte {
	bare := bytes.Count(text, []byte("\n")) - bytes.Count(text, []byte("\r\n"))
	if bare == 0 {
		return text
	}
	out := make([]byte, 0, len(text)+bare)
	for i, c := range text {
		if c == '\n' && (i == 0 || text[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, c)
	}
	return out
}

// toLF ends lines in LF that end in CRLF. Other CRs stay; and so does the CRLF
// after one, or toCRLF would take the two for one.
func toLF(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i, c := range text {
		if c == '\r' && i+1 < len(text) && text[i+1] == '\n' && (i == 0 || text[i-1] != '\r') {
			continue
		}
		out = append(out, c)
	}
	return out
}
