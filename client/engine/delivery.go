package engine

import (
	"encoding/json"
	"slices"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
)

// fate is what has become of a message on its way so far: what store.Delivery.Problem holds. A recipient is in it once
// his turn has come to something of its own: he is served, refused for good, or put off. Those to whom the next attempt
// goes are in store.Delivery.To, and nobody who is served ever comes back there.
type fate struct {
	problem    *api.Problem
	session    uint64 // the WireSession of the last attempt
	recipients []api.Recipient
	note       string // for the person who reads the message
}

// keptFate is a fate as it is written. A problem from before there were fates reads as one with nothing else.
type keptFate struct {
	api.Problem                 // Code is empty when there is none
	Attempt     uint64          `json:"attempt,omitempty"`
	Recipients  []api.Recipient `json:"recipients,omitempty"`
	Note        string          `json:"note,omitempty"`
}

func (f fate) encode() []byte {
	if f.problem == nil && f.session == 0 && len(f.recipients) == 0 && f.note == "" {
		return nil
	}
	k := keptFate{Attempt: f.session, Recipients: f.recipients, Note: f.note}
	if f.problem != nil {
		k.Problem = *f.problem
	}
	b, _ := json.Marshal(k) // texts, numbers and times of this era
	return b
}

func decodeFate(b []byte) (f fate) {
	var k keptFate
	if len(b) == 0 || json.Unmarshal(b, &k) != nil {
		return f
	}
	f = fate{session: k.Attempt, recipients: k.Recipients, note: k.Note}
	if k.Problem.Code != "" {
		f.problem = &k.Problem
	}
	return f
}

// with sets what became of one recipient.
func (f *fate) with(r api.Recipient) {
	if i := slices.IndexFunc(f.recipients, func(o api.Recipient) bool { return o.Addr == r.Addr }); i >= 0 {
		f.recipients[i] = r
		return
	}
	f.recipients = append(f.recipients, r)
}

// in are the recipients of that state.
func (f fate) in(s api.OutboxState) (addrs []string) {
	for _, r := range f.recipients {
		if r.State == s {
			addrs = append(addrs, r.Addr)
		}
	}
	return addrs
}

// again forgets what stands in the way of another attempt, at the user's word: who was refused is asked for once more.
func again(d *store.Delivery) {
	f := decodeFate(d.Problem)
	d.To = append(slices.Clone(d.To), f.in(api.StateFailed)...)
	f.recipients = slices.DeleteFunc(f.recipients, func(r api.Recipient) bool { return r.State != api.StateSent })
	f.problem = nil
	d.Problem = f.encode()
}

// recipientsOf is every recipient of an outgoing message and what became of it there.
func recipientsOf(e *store.Entry, shown api.OutboxState) []api.Recipient {
	f := decodeFate(e.Delivery.Problem)
	list := slices.Clone(f.recipients)
	for _, addr := range e.Delivery.To {
		i := slices.IndexFunc(list, func(r api.Recipient) bool { return r.Addr == addr })
		switch {
		case i < 0:
			list = append(list, api.Recipient{Addr: addr, State: shown})
		case shown != api.StateDeferred && list[i].State == api.StateDeferred: // his turn has come again
			list[i].State = shown
		}
	}
	return list
}
