package pop3

import (
	"context"
	"fmt"
	"strings"

	"github.com/postern-mail/postern/shared/printable"
)

// UTF8 tells the server that this client reads UTF-8 wherever ASCII was: in headers, and in answers. It comes after STLS and
// before authentication. Without it a server may refuse a message that has UTF-8 in its header with [UTF8], or give a copy that
// was made ASCII. See RFC 6856 section 2.1.
func (c *Client) UTF8(ctx context.Context) error {
	return c.session(ctx, "UTF8", []State{Authorization}, func() error {
		if c.caps != nil && !c.caps.UTF8 {
			return fmt.Errorf("%w: UTF8", ErrUnsupported)
		}
		return c.readUTF8()
	})
}

func (c *Client) readUTF8() error {
	if err := c.send("UTF8", ""); err != nil {
		return err
	}
	_, err := c.status("UTF8")
	c.utf8 = c.utf8 || err == nil
	return err
}

// Language is one of the languages that a server can put its words in.
type Language struct {
	Tag  string // of RFC 5646
	Name string // in the language itself; may be empty
}

const maxTag = 100 // octets; RFC 5646 section 4.4.1 says that 35 hold any

// Langs returns the languages of the server's words. See RFC 6856 section 3.
func (c *Client) Langs(ctx context.Context) ([]Language, error) {
	var all []Language
	err := c.language(ctx, func() error {
		return c.multiline("LANG", "LANG", func(line []byte) error {
			tag, name, _ := strings.Cut(strings.TrimSpace(printable.Line(string(line))), " ")
			if isTag(tag) {
				all = append(all, Language{tag, strings.TrimSpace(name)})
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Lang asks for a language by its tag; "*" is the one that the server likes best. See RFC 6856 section 3.
func (c *Client) Lang(ctx context.Context, tag string) error {
	if tag != "*" && !isTag(tag) {
		return fmt.Errorf("%w: language %q", ErrArgument, tag)
	}
	return c.language(ctx, func() error {
		if err := c.send("LANG "+tag, ""); err != nil {
			return err
		}
		_, err := c.status("LANG")
		return err
	})
}

func (c *Client) language(ctx context.Context, f func() error) error {
	return c.session(ctx, "LANG", []State{Authorization, Transaction}, func() error {
		if c.caps != nil && !c.caps.Langs {
			return fmt.Errorf("%w: LANG", ErrUnsupported)
		}
		return f()
	})
}

func isTag(s string) bool {
	return s != "" && len(s) <= maxTag && !strings.ContainsFunc(s, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		return !letter && (r < '0' || r > '9') && r != '-'
	})
}
