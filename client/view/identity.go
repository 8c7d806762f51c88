package view

import (
	"context"
	"slices"
	"strings"

	"github.com/postern-mail/postern/client/api"
)

// Sender is who a message may be from: an identity of an account.
type Sender struct {
	Account api.AccountID
	api.Identity
}

// Senders are all that the message may be from.
func (c *Composer) Senders() []Sender {
	var list []Sender
	for _, acc := range c.app.Accounts {
		for _, x := range identities(acc) {
			list = append(list, Sender{acc.ID, x})
		}
	}
	return list
}

// Sender is the place of the present one among them.
func (c *Composer) Sender() int {
	now := c.sender()
	return max(slices.Index(c.Senders(), now), 0)
}

func (c *Composer) sender() Sender {
	list := identities(c.app.AccountOf(c.draft.Account))
	for _, x := range list {
		if x.Addr == c.draft.Identity {
			return Sender{c.draft.Account, x}
		}
	}
	return Sender{c.draft.Account, list[0]}
}

// SetSender makes the message one from another: the signature is the other's too, unless somebody has changed it.
func (c *Composer) SetSender(i int) {
	list := c.Senders()
	if i < 0 || i >= len(list) || list[i] == c.sender() {
		return
	}
	if c.check().Attachments != "" && list[i].Account != c.draft.Account {
		c.Wrong = c.check()
		c.Serial++ // the field shows what it is, not what was chosen
		return
	}
	now := list[i]
	c.Text = c.resigned(signature(c.sender().Identity), signature(now.Identity))
	if c.start != "" && c.tail == "" {
		c.start = signed(signature(now.Identity), "")
	}
	if now.Account != c.draft.Account {
		c.moveTo(now.Account)
	}
	c.draft.Identity = now.Addr
	c.touched()
}

// write begins a message above what it quotes, signed by who it is from. The signature stands where the writing ends:
// below it a long quotation would hide it, and who reads on knows already who wrote.
func (c *Composer) write(d api.Draft, quote string) {
	c.draft = d
	d.Text = signed(signature(c.sender().Identity), quote)
	c.fill(d)
	c.tail, c.start = quote, d.Text
}

// signature is an identity's with the line that mail programs know it by (RFC 3676 section 4.3).
func signature(x api.Identity) string {
	if s := strings.TrimSpace(strings.ReplaceAll(x.Signature, "\r\n", "\n")); s != "" {
		return "-- \n" + s + "\n"
	}
	return ""
}

// signed is a text that nobody has written yet.
func signed(sign, quote string) string {
	switch {
	case sign == "" && quote == "":
		return ""
	case sign != "" && quote != "":
		sign += "\n"
	}
	return "\n\n" + sign + quote
}

// resigned is the text with a signature in the place of another, where that stands as it was put there.
func (c *Composer) resigned(was, now string) string {
	text := c.Text
	if was != "" {
		i := strings.LastIndex(text, was)
		if i < 0 || i > 0 && text[i-1] != '\n' {
			return text
		}
		rest := text[i+len(was):]
		if now == "" {
			rest = strings.TrimPrefix(rest, "\n")
		}
		return text[:i] + now + rest
	}
	above, quoted := strings.CutSuffix(text, c.tail)
	switch {
	case now == "":
		return text
	case quoted && c.tail != "":
		return above + now + "\n" + c.tail
	}
	return strings.TrimRight(text, "\n") + "\n\n" + now
}

// moveTo makes the message another account's: what it carries is copied there, and the draft that was saved here goes.
func (c *Composer) moveTo(acc api.AccountID) {
	old, message := c.collect(), c.Serial
	old.Account = c.draft.Account
	c.draft.Account, c.draft.ID, c.draft.Answers = acc, 0, 0
	list := slices.DeleteFunc(slices.Clone(c.Attachments), func(x Attachment) bool { return x.Problem != nil })
	if len(list) == 0 {
		c.forget(old.Account, old.ID)
		return
	}
	for i := range list {
		list[i].Uploading = true
	}
	c.Attachments = list
	var kept []api.DraftAttachment
	c.app.ask(func(ctx context.Context, svc api.Service) error {
		d, err := svc.SaveDraft(ctx, old)
		for i := 0; err == nil && i < len(old.Attachments); i++ {
			var data []byte
			var x api.DraftAttachment
			at := old.Attachments[i]
			if _, data, err = svc.Attachment(ctx, api.PartRef{MessageRef: api.MessageRef{Account: old.Account, ID: d.ID}, Index: i}); err == nil {
				x, err = svc.Upload(ctx, api.Upload{Account: acc, Name: at.Name, Type: at.Type}, data)
				kept = append(kept, x)
			}
		}
		old.ID = d.ID
		return err
	}, func(p *api.Problem) {
		if message != c.Serial || c.draft.Account != acc {
			return // what was written is still in the other account's Drafts
		}
		list := slices.Clone(c.Attachments)
		for i := range list {
			list[i].Uploading, list[i].Problem = false, p
			if p == nil && i < len(kept) {
				list[i].DraftAttachment = kept[i]
			}
		}
		c.Attachments = list
		if p == nil {
			c.forget(old.Account, old.ID)
		}
		c.touched()
	})
}

// forget erases a saved draft that is another account's now.
func (c *Composer) forget(acc api.AccountID, id api.MessageID) {
	if id != 0 {
		c.app.ask(func(ctx context.Context, svc api.Service) error {
			return svc.Erase(ctx, api.Erase{Account: acc, IDs: []api.MessageID{id}})
		}, func(*api.Problem) {})
	}
}

// addresses are all of an account.
func (a *App) addresses(id api.AccountID) []string {
	acc := a.AccountOf(id)
	list := []string{acc.Email}
	for _, x := range acc.Identities {
		list = append(list, x.Addr)
	}
	return list
}

// addressee is the address of ours that a message was sent to, or that it is from: who answers does so by it.
func (a *App) addressee(m *api.Message) string {
	for _, list := range [][]api.Address{m.To, m.Cc, m.Bcc, {m.From}} {
		for _, x := range list {
			for _, own := range identities(a.AccountOf(m.Account)) {
				if strings.EqualFold(own.Addr, x.Addr) {
					return own.Addr
				}
			}
		}
	}
	return ""
}
