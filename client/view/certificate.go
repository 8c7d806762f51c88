package view

import (
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// Trust is the sheet about a certificate that is not believed. To go on is never what Enter does.
type Trust struct {
	Certificate *api.Certificate // nil: the sheet is not open
	Sure        bool             // of one that changed: somebody has said that they know about it

	believe func(fingerprint string)
	app     *App
}

func (t *Trust) ask(c *api.Certificate, believe func(fingerprint string)) {
	t.Certificate, t.Sure, t.believe = c, false, believe
	t.app.Voice.Cry(t.Words().Title + ". " + t.Words().Means)
	t.app.platform.Focus(`[data-testid="certificate-cancel"]`)
}

// Look opens the sheet about the certificate for which an account does not fetch or send.
func (t *Trust) Look(account api.AccountID, c *api.Certificate) {
	t.ask(c, func(fingerprint string) { t.app.trust(account, c.Protocol, fingerprint, t.app.SyncNow) })
}

// Believe pins the certificate, and goes on with what it stopped.
func (t *Trust) Believe() {
	if t.Changed() && !t.Sure || t.Certificate == nil {
		return
	}
	believe, fingerprint := t.believe, t.Certificate.Fingerprint
	t.Certificate, t.believe = nil, nil
	believe(fingerprint)
}

// Cancel closes the sheet; nothing is believed.
func (t *Trust) Cancel() {
	t.Certificate, t.believe = nil, nil
	t.app.platform.Focus(`[data-opens="certificate"], [data-testid="signin-submit"], [data-testid="settings-save"], [data-testid="site-save"]`)
}

// Changed says that another certificate is trusted for this server: the one case that is loud.
func (t *Trust) Changed() bool { return t.Certificate != nil && t.Certificate.Reason == changed }

const changed = "pin-changed"

// Words say why the certificate is not believed, what that may mean, and what to do.
func (t *Trust) Words() Words {
	c := t.Certificate
	if c == nil {
		return Words{}
	}
	return t.about(c)
}

func (t *Trust) about(c *api.Certificate) Words {
	if c.Reason == changed {
		return Words{
			Title: "The certificate of " + c.Host + " is not the one you trusted",
			Means: "Nothing was sent. Either whoever runs the server has changed its certificate, or somebody on the way is reading along in its name.",
			Do:    "Ask whoever runs the server for the new fingerprint, by another way than this mail account. Trust it only if it is the same, letter by letter.",
		}
	}
	date := t.date
	why := map[string]string{
		"expired":           "Its certificate expired on " + date(c.NotAfter) + ".",
		"not-yet-valid":     "Its certificate is valid only from " + date(c.NotBefore) + " on. Is the clock of this device right?",
		"wrong-host":        "Its certificate is for other names: " + strings.Join(c.Names, ", ") + ".",
		"self-signed":       "It vouches for itself, and nobody else does.",
		"unknown-authority": "Nobody known here vouches for it.",
	}[c.Reason]
	if why == "" {
		why = "Its certificate is not a valid one."
	}
	return Words{
		Title: c.Host + " could not prove who it is",
		Means: why + " Nothing was sent to it.",
		Do:    "If you run this server, or its administrator gave you this fingerprint, you can trust it. Otherwise do not: somebody on the way may be posing as it.",
	}
}

func (t *Trust) date(at time.Time) string { return FullDate(t.app.platform.Local(at)) }

// Words puts a problem into words, with what the page knows of the certificate that it may be about.
func (a *App) Words(p *api.Problem) Words {
	w := WordsFor(p)
	if p.Certificate != nil {
		x := a.Trust.about(p.Certificate)
		w.Title, w.Means, w.Do = x.Title, x.Means, x.Do
	}
	return w
}

// Fact is a line of what is known of something.
type Fact struct {
	Name, Value string
	Code        bool // to be compared letter by letter
}

// Facts are what the certificate says of itself, and its fingerprints, which say more.
func (t *Trust) Facts() []Fact {
	c := t.Certificate
	if c == nil {
		return nil
	}
	var list []Fact
	add := func(name, value string) {
		if value != "" {
			list = append(list, Fact{Name: name, Value: value})
		}
	}
	add("Server", c.Host+" ("+strings.ToUpper(string(c.Protocol))+")")
	add("Issued by", c.Issuer)
	add("For", c.Subject)
	add("Names", strings.Join(c.Names, ", "))
	if !c.NotAfter.IsZero() {
		add("Valid", t.date(c.NotBefore)+" to "+t.date(c.NotAfter))
	}
	if c.Pinned == "" {
		return append(list, Fact{"SHA-256", Fingerprint(c.Fingerprint), true})
	}
	return append(list, Fact{"Trusted so far", Fingerprint(c.Pinned), true}, Fact{"Now", Fingerprint(c.Fingerprint), true})
}

// Fingerprint is a hash in groups that can be read out.
func Fingerprint(hex string) string {
	var b strings.Builder
	for i := 0; i < len(hex); i++ {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteByte(hex[i])
	}
	return strings.ToUpper(b.String())
}
