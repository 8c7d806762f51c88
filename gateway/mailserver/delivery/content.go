package delivery

import (
	"bytes"
	"io"

	"github.com/postern-mail/postern/shared/smtp"
)

// content is the content of a message, looked at, and in the forms that servers need.
type content struct {
	open     func() (io.ReadCloser, error)
	survey   smtp.Content
	received int // Received fields

	parts     int       // most that are looked at
	examined  *findings // once that was needed
	unknown   error     // or why not
	converted map[conversion]smtp.Content
}

// inspect reads the content once.
func inspect(open func() (io.ReadCloser, error), parts int) (*content, error) {
	c := &content{open: open, parts: parts, converted: make(map[conversion]smtp.Content)}
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var count receivedCounter
	if c.survey, err = smtp.Survey(io.TeeReader(r, &count)); err != nil {
		return nil, err
	}
	c.received = count.fields
	return c, nil
}

// form is the content as one server is to get it.
type form struct {
	smtp.Content
	conversion conversion
	raw        bool // the header has octets above 127 and is sent nevertheless
}

// formFor chooses how a server with these extensions gets the content; declared tells that it came with SMTPUTF8. It answers a
// result if it cannot get it at all. An error is one of reading.
func (c *content) formFor(ext smtp.Extensions, declared bool) (f form, cannot *Result, err error) {
	f = form{Content: c.survey}
	if f.UTF8 && !ext.SMTPUTF8 {
		// QUIRK: a header in UTF-8 needs SMTPUTF8 (RFC 6531 section 3.1), but octets above 127 that nobody declared to be that are
		// common, and have gone wherever 8-bit bodies go since long before it.
		if declared || !ext.EightBitMIME {
			return f, finding(553, "5.6.7", "the server has no SMTPUTF8, which the message's header needs"), nil
		}
		f.UTF8, f.raw = false, true
	}
	eightBit := ext.EightBitMIME || ext.SMTPUTF8 // RFC 6531 section 3.1: who has SMTPUTF8 has 8BITMIME
	f.conversion = conversion{eight: f.EightBit && !eightBit, long: f.Longest > maxTextLine && !ext.Chunking}
	if f.conversion == (conversion{}) {
		return f, nil, nil
	}
	if err := c.examine(); err != nil {
		return f, nil, err
	}
	why := c.unknown
	if f.conversion.eight && why == nil {
		why = c.examined.sevenBit()
	}
	switch {
	case why == errHeaders:
		return f, finding(553, "5.6.7", "the server has no SMTPUTF8, and %v", why), nil
	case why != nil && f.conversion.eight:
		return f, finding(554, "5.6.3", "the server has no 8BITMIME, and the message cannot be made 7-bit: %v", why), nil
	case why != nil: // long lines go as they are: most servers take them
		f.conversion = conversion{}
		return f, nil, nil
	}
	survey, done := c.converted[f.conversion]
	if !done {
		r, err := c.reader(f)
		if err != nil {
			return f, nil, err
		}
		defer r.Close()
		if survey, err = smtp.Survey(r); err != nil {
			return f, nil, err
		}
		c.converted[f.conversion] = survey
	}
	survey.UTF8 = survey.UTF8 && !f.raw
	f.Content = survey
	return f, nil, nil
}

// examine looks for the parts of the content, once.
func (c *content) examine() error {
	if c.examined != nil || c.unknown != nil {
		return nil
	}
	r, err := c.open()
	if err != nil {
		return err
	}
	defer r.Close()
	if c.examined, err = examine(r, c.parts); err == errShape {
		c.unknown, err = err, nil
	}
	return err
}

// reader opens the content in a form.
func (c *content) reader(f form) (io.ReadCloser, error) {
	r, err := c.open()
	if err != nil || f.conversion == (conversion{}) {
		return r, err
	}
	return struct {
		io.Reader
		io.Closer
	}{c.examined.converted(r, f.conversion), r}, nil
}

// String says what is done to the content, for the transcript.
func (c conversion) String() string {
	switch {
	case c.eight && c.long:
		return "made 7-bit, and its long lines broken by encoding"
	case c.eight:
		return "made 7-bit"
	}
	return "long lines broken by encoding"
}

// receivedCounter counts the Received fields of a header that is written to it.
type receivedCounter struct {
	fields int
	line   []byte // the first octets of the line under way
	body   bool
}

var received = []byte("received:")

func (c *receivedCounter) Write(p []byte) (int, error) {
	for _, b := range p {
		switch {
		case c.body:
			return len(p), nil
		case b == '\n':
			c.body = len(bytes.TrimSuffix(c.line, []byte("\r"))) == 0
			if bytes.EqualFold(c.line, received) {
				c.fields++
			}
			c.line = c.line[:0]
		case len(c.line) < len(received):
			c.line = append(c.line, b)
		}
	}
	return len(p), nil
}
