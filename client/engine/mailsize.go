package engine

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/smtp"
)

// mailSize is how large a mail a submission server takes, in octets, as far as it has told. See RFC 1870.
type mailSize struct {
	Announced int64 `json:"announced,omitempty"` // at the last connection; 0: no limit
	Refused   int64 `json:"refused,omitempty"`   // the smallest that it refused for its size; 0: none
}

const mailSizeKey = "mail-size" // of the mailbox's Meta

// largest is the largest that it takes; 0 if nothing is known of a limit.
func (m mailSize) largest() int64 {
	if m.Refused > 0 && (m.Announced == 0 || m.Refused <= m.Announced) {
		return m.Refused - 1
	}
	return m.Announced
}

// after is what is known after a message of a size was sent with that outcome.
func (m mailSize) after(size int64, err error) mailSize {
	var refused *smtp.Error
	switch {
	case err == nil && size >= m.Refused:
		m.Refused = 0 // it takes them now
	case errors.As(err, &refused) && isTooLarge(refused) && !refused.Temporary() && (m.Refused == 0 || size < m.Refused):
		m.Refused = size
	}
	return m
}

// isTooLarge tells a refusal for a message's size. 552 alone may be about the room in a mailbox: RFC 5321 section 4.2.3, and RFC 3463
// sections 3.3 and 3.4.
func isTooLarge(e *smtp.Error) bool {
	return strings.HasSuffix(e.Enhanced, ".3.4") || e.Code == 552 && !strings.HasSuffix(e.Enhanced, ".2.2")
}

// learnSize remembers what the submission server takes, and tells of it if that is news.
func (a *account) learnSize(change func(mailSize) mailSize) {
	a.mu.Lock()
	before := a.mailSize
	a.mailSize = change(before)
	now := a.mailSize
	a.mu.Unlock()
	if now == before {
		return
	}
	if a.box != nil { // else it is not one of the engine's yet: see recallSize
		a.keepSize(now)
		a.announce()
	}
}

// keepSize keeps it over restarts. That it is lost costs little.
func (a *account) keepSize(m mailSize) {
	value, err := json.Marshal(m)
	if err == nil {
		err = a.box.Update(func(tx *store.Tx) error { return tx.SetMeta(mailSizeKey, value) })
	}
	if err != nil {
		a.e.Logf("account %s: what its server takes could not be written: %v", a.id, err)
	}
}

// recallSize takes up what is known, by signing in or of the last run.
func (a *account) recallSize() {
	a.mu.Lock()
	known := a.mailSize
	a.mu.Unlock()
	if known != (mailSize{}) {
		a.keepSize(known)
		return
	}
	if value, ok := a.box.Meta(mailSizeKey); ok && json.Unmarshal(value, &known) == nil {
		a.mu.Lock()
		a.mailSize = known
		a.mu.Unlock()
	}
}
