package mail

import "time"

// Address is a mailbox of RFC 5322 section 3.4: a display name, decoded and possibly empty, and an addr-spec.
type Address struct {
	Name string
	Addr string
}

// Summary is what a list and a reply need to know of a message. Text in it is valid UTF-8 without control characters;
// message-ids have their angle brackets. What the message does not say, or says in a way nobody can read, is empty.
type Summary struct {
	MessageID  string
	InReplyTo  string
	References []string // oldest first, at most maxReferences of them
	From       []Address
	Sender     []Address
	ReplyTo    []Address
	To         []Address
	Cc         []Address
	Bcc        []Address
	Subject    string
	Date       time.Time // zero when absent or absurd
	Snippet    string    // the first words of the readable text
	// Attachments counts the parts that Parse would list as attachments (those not Inline).
	Attachments int
}

// Message is a message opened for reading.
type Message struct {
	Summary
	Text  string // the plain text, line ends "\n"; empty if there is none
	HTML  string // the HTML body as it came, unsafe, decoded to UTF-8; empty if there is none
	Parts []Part
	// Note says in a sentence what is odd about the message; when nothing could be made of it, Text is its source.
	Note string
}

// Part is an attachment, or an inline image that the HTML refers to by ContentID.
type Part struct {
	Name      string // never empty, no path, no control characters
	Type      string // media type, lower case, "application/octet-stream" when unknown
	ContentID string // without angle brackets; empty when it has none
	Inline    bool   // shown within the HTML body rather than below it
	Data      []byte // decoded
}

// Draft is a message to be composed.
type Draft struct {
	From        Address
	To, Cc, Bcc []Address
	Subject     string
	Text        string
	InReplyTo   string
	References  []string
	Attachments []Part
	Date        time.Time
	MessageID   string
}
