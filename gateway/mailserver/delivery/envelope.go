package delivery

import (
	"io"

	"github.com/postern-mail/postern/shared/smtp"
)

// downgrade fails those of a batch whose address the server cannot be told, and answers the others. A domain beyond ASCII has a form
// for every server, a local part has none: RFC 6531 section 3.2.
func (a *attempt) downgrade(s *session, batch []int) (rest []int) {
	if s.extensions.SMTPUTF8 {
		return batch
	}
	if smtp.NeedsUTF8(a.message.From) {
		a.settle(a.open(), a.at(s, finding(553, "5.6.7", "the server has no SMTPUTF8, which the sender's address %s needs", a.message.From)))
		return nil
	}
	for _, i := range batch {
		if address := a.message.Recipients[i].Address; smtp.NeedsUTF8(address) {
			a.settle([]int{i}, a.at(s, finding(553, "5.6.7", "the server has no SMTPUTF8, which the address %s needs", address)))
		} else {
			rest = append(rest, i)
		}
	}
	return rest
}

// envelope is that of a transaction.
func (a *attempt) envelope(batch []int, f form) smtp.Envelope {
	e := smtp.Envelope{From: a.message.From, Content: &f.Content, DSN: &smtp.DSN{Return: a.message.Return, EnvelopeID: a.message.EnvelopeID}}
	for _, i := range batch {
		r := a.message.Recipients[i]
		e.To = append(e.To, r.Address)
		e.DSN.Recipients = append(e.DSN.Recipients, smtp.RecipientDSN{Notify: r.Notify, Original: r.Original})
	}
	return e
}

// watched remembers that reading failed: then it was not the network.
type watched struct {
	io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}
