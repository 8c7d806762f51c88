package engine

import (
	"context"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mail"
)

// Searching looks at every message of a folder: at the fields a list shows, and at the text. Both are kept, folded, up
// to Limits.Texts, and then 10,000 messages take some ten milliseconds. A task reads them ahead in small bites; what is
// not there when it is looked for is read and parsed then, some fifty microseconds a message. Past the limit, each
// search reads the rest of the folder again.

// window answers a part of a folder, filtered by the words of query.
func (a *account) window(ctx context.Context, folder store.Folder, query string, offset, limit int) (store.Window, error) {
	words := foldWords(query)
	if len(words) == 0 {
		return a.box.List(folder, nil, offset, limit), nil
	}
	since := a.e.Clock.Now()
	w := a.box.List(folder, func(e *store.Entry) bool {
		if ctx.Err() != nil {
			return false
		}
		found, slow := a.matches(e, words)
		if slow && a.e.Clock.Now().Sub(since) >= searchBite {
			a.breathe(ctx)
			since = a.e.Clock.Now()
		}
		return found
	}, offset, limit)
	return w, ctx.Err()
}

// searchBite is how long a search reads before it lets others go on. In a browser one thread does everything, and a
// call to cancel the search has to be heard too.
const searchBite = 20 * time.Millisecond

// breathe lets everything else that is ready go on.
func (a *account) breathe(ctx context.Context) {
	select {
	case <-a.e.Clock.After(time.Millisecond):
	case <-ctx.Done():
	}
}

// matches says whether every word occurs in a message: in its sender, recipients, subject or text. It is slow when
// the message had to be read.
func (a *account) matches(e *store.Entry, words []string) (found, slow bool) {
	t, ok := a.texts.get(e)
	if ok {
		return hasAll(t, words), false
	}
	t = foldedFields(e)
	if hasAll(t, words) {
		return true, false // most searches are for what a list shows
	}
	t += "\n" + a.foldedText(e)
	a.texts.put(e, t)
	return hasAll(t, words), true
}

func hasAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// foldedFields is what a search finds of a message without its text.
func foldedFields(e *store.Entry) string {
	var b strings.Builder
	s := &e.Summary
	b.WriteString(s.Subject)
	for _, list := range [][]mail.Address{s.From, s.Sender, s.To, s.Cc, s.Bcc} {
		for _, addr := range list {
			b.WriteByte('\n')
			b.WriteString(addr.Name)
			b.WriteByte(' ')
			b.WriteString(addr.Addr)
		}
	}
	return fold(b.String())
}

// foldedText is the text of a message. One that cannot be read is not found by it.
func (a *account) foldedText(e *store.Entry) string {
	if isDraft(e) {
		d, _ := a.draft(e.ID)
		return fold(d.Text)
	}
	content, err := a.box.Content(e.ID)
	if err != nil {
		return ""
	}
	m := a.e.Mail.Parse(content)
	if m.Text == "" && m.HTML != "" {
		return fold(plain(m.HTML))
	}
	return fold(m.Text)
}

// plain is HTML without its tags, as far as a search needs it.
func plain(html string) string {
	var b strings.Builder
	for html != "" {
		text, rest, tag := strings.Cut(html, "<")
		b.WriteString(text)
		if !tag {
			break
		}
		b.WriteByte(' ')
		_, html, _ = strings.Cut(rest, ">")
	}
	return entities.Replace(b.String())
}

var entities = strings.NewReplacer("&nbsp;", " ", "&lt;", "<", "&gt;", ">", "&quot;", `"`, "&#39;", "'", "&amp;", "&")

// foldWords splits a query into words to be found in folded text.
func foldWords(query string) []string { return strings.Fields(fold(query)) }

// fold makes text comparable without regard to case: each character becomes the least of those that Unicode's simple
// case folding takes for the same.
func fold(s string) string {
	lower := true
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			lower = false
			break
		}
	}
	if lower {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf {
			if 'A' <= r && r <= 'Z' {
				r += 'a' - 'A'
			}
			return r
		}
		least := r
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			least = min(least, o)
		}
		if least < utf8.RuneSelf && 'A' <= least && least <= 'Z' { // the Kelvin sign is a K
			least += 'a' - 'A'
		}
		return least
	}, s)
}

// texts keeps folded texts of messages, as far as they fit.
type texts struct {
	limit int
	mu    sync.Mutex
	used  int
	kept  map[store.ID]foldedMessage
}

type foldedMessage struct {
	sum  store.Sum // of the content: a draft is written again under its number
	text string
}

const textOverhead = 128 // of a message in the map

func newTexts(limit int) *texts { return &texts{limit: limit, kept: make(map[store.ID]foldedMessage)} }

func (t *texts) get(e *store.Entry) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, ok := t.kept[e.ID]
	return f.text, ok && f.sum == e.Sum
}

// put keeps a text if there is room. It says whether there may be room for more.
func (t *texts) put(e *store.Entry, text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old, ok := t.kept[e.ID]; ok {
		t.used -= len(old.text) + textOverhead
		delete(t.kept, e.ID)
	}
	if t.used+len(text)+textOverhead > t.limit {
		return false
	}
	t.kept[e.ID] = foldedMessage{e.Sum, text}
	t.used += len(text) + textOverhead
	return true
}

const (
	warmAfter = 5 * time.Second // after the start, or a fetch, which have better to do
	warmBite  = 32              // messages; some milliseconds in a browser
	warmPause = 100 * time.Millisecond
)

// warmTexts reads ahead, after the start and after each fetch that brought something.
func (a *account) warmTexts(ctx context.Context) {
	never := make(chan struct{})
	for a.rest(ctx, never, warmAfter) {
		if !a.readAhead(ctx) || !a.rest(ctx, a.toWarm, untilAsked) {
			return
		}
	}
}

// isFetching says whether messages are on their way.
func (a *account) isFetching() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sync.State == api.Syncing
}

// readAhead reads the texts of the inbox and of what was sent, the newest first, in bites. It says false when there is no
// room for more.
func (a *account) readAhead(ctx context.Context) bool {
	never := make(chan struct{})
	for _, folder := range []store.Folder{inbox, sent} {
		for offset := 0; ; offset += warmBite {
			for a.isFetching() {
				if !a.rest(ctx, never, warmAfter) {
					return false
				}
			}
			w := a.box.List(folder, nil, offset, warmBite)
			if len(w.Entries) == 0 {
				break
			}
			read := false
			for i := range w.Entries {
				e := &w.Entries[i]
				if _, ok := a.texts.get(e); ok {
					continue
				}
				read = true
				if !a.texts.put(e, foldedFields(e)+"\n"+a.foldedText(e)) {
					return false
				}
			}
			if read && !a.rest(ctx, never, warmPause) {
				return false
			}
		}
	}
	return true
}
