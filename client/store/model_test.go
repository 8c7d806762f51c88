package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"

	"github.com/google/go-cmp/cmp"
	"github.com/postern-mail/postern/shared/mail"
)

// model is a mailbox without files: what a Mailbox must answer.
type model struct {
	next    ID
	entries map[ID]Entry
	content map[ID]string
	uids    map[string]ID
	erased  map[ID]Erased
	sums    map[content]ID
	blobs   map[string]string
	meta    map[string]string
}

func newModel() *model {
	return &model{1, map[ID]Entry{}, map[ID]string{}, map[string]ID{}, map[ID]Erased{}, map[content]ID{}, map[string]string{}, map[string]string{}}
}

// modelKey is the key of the mailboxes that are compared with a model.
var modelKey = key{1, 2, 3}

func (m *model) clone() *model {
	return &model{m.next, maps.Clone(m.entries), maps.Clone(m.content), maps.Clone(m.uids), maps.Clone(m.erased), maps.Clone(m.sums), maps.Clone(m.blobs), maps.Clone(m.meta)}
}

// step is one change: it happens to a Tx and to the model.
type step interface {
	real(tx *Tx) error
	model(m *model)
}

type addStep struct {
	e       Entry
	content string
}

func (s addStep) real(tx *Tx) error { _, err := tx.Add(s.e, []byte(s.content)); return err }
func (s addStep) model(m *model) {
	e := s.e
	e.ID, e.Size, e.Sum = m.next, int64(len(s.content)), modelKey.sum([]byte(s.content))
	m.next++
	m.entries[e.ID], m.content[e.ID] = e, s.content
	m.remember(e)
}

func (m *model) remember(e Entry) {
	if e.UID == "" {
		return
	}
	m.uids[e.UID] = e.ID
	if c := (content{e.Sum, e.Whole}); m.sums[c] == 0 {
		m.sums[c] = e.ID
	}
}

type onceStep struct {
	e       Entry
	content string
}

func (s onceStep) real(tx *Tx) error { _, _, err := tx.AddOnce(s.e, []byte(s.content)); return err }
func (s onceStep) model(m *model) {
	known := m.sums[content{modelKey.sum([]byte(s.content)), s.e.Whole}]
	if known == 0 {
		addStep(s).model(m)
		return
	}
	m.uids[s.e.UID] = known
}

type completeStep struct {
	id      ID
	content string
}

func (s completeStep) summary() mail.Summary {
	return mail.Summary{Subject: "whole", Date: day(len(s.content) % 5)}
}
func (s completeStep) real(tx *Tx) error { return tx.Complete(s.id, s.summary(), []byte(s.content)) }
func (s completeStep) model(m *model) {
	e := m.entries[s.id]
	e.Summary, e.Whole = s.summary(), 0
	e.Size, e.Sum = int64(len(s.content)), modelKey.sum([]byte(s.content))
	m.entries[s.id], m.content[s.id] = e, s.content
	m.remember(e)
}

type flagsStep struct {
	id ID
	f  Flags
}

func (s flagsStep) real(tx *Tx) error { return tx.SetFlags(s.id, s.f) }
func (s flagsStep) model(m *model)    { e := m.entries[s.id]; e.Flags = s.f; m.entries[s.id] = e }

type folderStep struct {
	id ID
	f  Folder
}

func (s folderStep) real(tx *Tx) error { return tx.SetFolder(s.id, s.f) }
func (s folderStep) model(m *model) {
	if e := m.entries[s.id]; e.Folder != s.f {
		e.Previous, e.Folder = e.Folder, s.f
		m.entries[s.id] = e
	}
}

type deliveryStep struct {
	id ID
	d  *Delivery
}

func (s deliveryStep) real(tx *Tx) error { return tx.SetDelivery(s.id, s.d) }
func (s deliveryStep) model(m *model)    { e := m.entries[s.id]; e.Delivery = s.d; m.entries[s.id] = e }

type replaceStep struct {
	id      ID
	subject string
	content string
}

func (s replaceStep) summary() mail.Summary {
	return mail.Summary{Subject: s.subject, Date: day(len(s.content) % 7)}
}
func (s replaceStep) real(tx *Tx) error { return tx.Replace(s.id, s.summary(), []byte(s.content)) }
func (s replaceStep) model(m *model) {
	e := m.entries[s.id]
	e.Summary, e.Stored = s.summary(), epoch
	e.Size, e.Sum = int64(len(s.content)), modelKey.sum([]byte(s.content))
	m.entries[s.id], m.content[s.id] = e, s.content
	m.remember(e)
}

type removeStep struct{ id ID }

func (s removeStep) real(tx *Tx) error { return tx.Remove(s.id) }
func (s removeStep) model(m *model) {
	if e := m.entries[s.id]; e.UID != "" {
		m.erased[s.id] = Erased{Sum: e.Sum, Stored: e.Stored, Whole: e.Whole}
	}
	delete(m.entries, s.id)
	delete(m.content, s.id)
}

type blobStep struct{ data string }

func (s blobStep) real(tx *Tx) error { _, err := tx.PutBlob([]byte(s.data)); return err }
func (s blobStep) model(m *model) {
	sum := modelKey.sum([]byte(s.data))
	m.blobs[sum.String()] = s.data
}

type metaStep struct{ key, value string }

func (s metaStep) real(tx *Tx) error {
	if s.value == "" {
		return tx.SetMeta(s.key, nil)
	}
	return tx.SetMeta(s.key, []byte(s.value))
}
func (s metaStep) model(m *model) {
	if s.value == "" {
		delete(m.meta, s.key)
	} else {
		m.meta[s.key] = s.value
	}
}

// runSteps makes one update of steps and answers what the model is after it.
func runSteps(mb *Mailbox, before *model, steps []step) (*model, error) {
	after := before.clone()
	err := mb.Update(func(tx *Tx) error {
		for _, s := range steps {
			if err := s.real(tx); err != nil {
				return err
			}
			s.model(after)
		}
		return nil
	})
	return after, err
}

var errMix = errors.New("the mailbox is not the model")

// differs compares everything that a mailbox answers with the model. It is nil if they are the same.
func (m *model) differs(mb *Mailbox) error {
	if mb.s.next != m.next {
		return fmt.Errorf("%w: the next ID is %d, want %d", errMix, mb.s.next, m.next)
	}
	if len(mb.s.entries) != len(m.entries) || mb.UIDs() != len(m.uids) || len(mb.s.meta) != len(m.meta) || len(mb.s.blobs) != len(m.blobs) {
		return fmt.Errorf("%w: %d entries of %d, %d unique-ids of %d, %d values of %d, %d blobs of %d", errMix, len(mb.s.entries), len(m.entries),
			mb.UIDs(), len(m.uids), len(mb.s.meta), len(m.meta), len(mb.s.blobs), len(m.blobs))
	}
	folders := map[Folder][]Entry{}
	for id, want := range m.entries {
		got, ok := mb.Get(id)
		if !ok {
			return fmt.Errorf("%w: no message %d", errMix, id)
		}
		if d := cmp.Diff(want, got); d != "" {
			return fmt.Errorf("%w: message %d (-want +got)\n%s", errMix, id, d)
		}
		if p, err := mb.Content(id); err != nil || string(p) != m.content[id] {
			return fmt.Errorf("%w: content of %d: %q, %w", errMix, id, p, err)
		}
		folders[want.Folder] = append(folders[want.Folder], want)
	}
	for f := range mb.s.folders {
		if _, ok := folders[f]; !ok {
			folders[f] = nil
		}
	}
	for f, want := range folders {
		sort.Slice(want, func(i, j int) bool {
			a, b := record{Entry: want[i]}, record{Entry: want[j]}
			if !a.when().Equal(b.when()) {
				return a.when().After(b.when())
			}
			return want[i].ID > want[j].ID
		})
		w := mb.List(f, nil, 0, len(want)+1)
		unread := 0
		for i := range want {
			if len(w.Entries) != len(want) || w.Entries[i].ID != want[i].ID {
				return fmt.Errorf("%w: order of %s", errMix, f)
			}
			if want[i].Flags.Unread {
				unread++
			}
		}
		if c := mb.Counts(f); c.Total != len(want) || c.Unread != unread || w.Total != c.Total || w.Unread != c.Unread {
			return fmt.Errorf("%w: counts of %s: %+v", errMix, f, c)
		}
	}
	for uid, id := range m.uids {
		if got, ok := mb.Named(uid); !ok || got != id || !mb.HasUID(uid) {
			return fmt.Errorf("%w: unique-id %s names %d, want %d", errMix, uid, got, id)
		}
	}
	for id, want := range m.erased {
		if got, ok := mb.Erased(id); !ok || got != want || mb.Erasures() != len(m.erased) {
			return fmt.Errorf("%w: erased %d: %+v", errMix, id, got)
		}
	}
	for sha, data := range m.blobs {
		if p, err := mb.Blob(sha); err != nil || !bytes.Equal(p, []byte(data)) {
			return fmt.Errorf("%w: blob %s: %w", errMix, sha, err)
		}
	}
	for k, v := range m.meta {
		if p, ok := mb.Meta(k); !ok || string(p) != v {
			return fmt.Errorf("%w: value of %s: %q", errMix, k, p)
		}
	}
	return nil
}

// ids answers the model's messages in order, so that a choice among them can be repeated.
func (m *model) ids() []ID { return slices.Sorted(maps.Keys(m.entries)) }

func checkModel(t interface {
	Helper()
	Fatal(...any)
}, m *model, mb *Mailbox) {
	t.Helper()
	if err := m.differs(mb); err != nil {
		t.Fatal(err)
	}
}
