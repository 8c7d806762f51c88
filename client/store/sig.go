package store

import (
	"errors"

	"github.com/postern-mail/postern/shared/mail"
)

// Options of a mailbox; nil is zero.
type Options struct{}

var (
	ErrFull      = errors.New("store: no room left on this device")
	ErrCorrupt   = errors.New("store: content is damaged")
	ErrNoMessage = errors.New("store: no such message")
	ErrNoBlob    = errors.New("store: no such blob")
	ErrClosed    = errors.New("store: mailbox is closed")
	ErrKnownUID  = errors.New("store: the unique-id is known")
)

// Mailbox is one account's mail on this device.
type Mailbox struct{}

// Tx is an update being made.
type Tx struct{}

func Open(fs FS, o *Options) (*Mailbox, error)        { return nil, errors.New("not yet") }
func (m *Mailbox) Close() error                       { return nil }
func (m *Mailbox) Update(fn func(tx *Tx) error) error { return nil }
func (m *Mailbox) Get(id ID) (Entry, bool)            { return Entry{}, false }
func (m *Mailbox) Content(id ID) ([]byte, error)      { return nil, nil }
func (m *Mailbox) Blob(sha string) ([]byte, error)    { return nil, nil }
func (m *Mailbox) Meta(key string) ([]byte, bool)     { return nil, false }
func (m *Mailbox) HasUID(uid string) bool             { return false }
func (m *Mailbox) UIDs() int                          { return 0 }
func (m *Mailbox) Counts(f Folder) Counts             { return Counts{} }
func (m *Mailbox) List(f Folder, match func(*Entry) bool, offset, limit int) Window {
	return Window{}
}

func (tx *Tx) Get(id ID) (Entry, bool)                 { return Entry{}, false }
func (tx *Tx) Add(e Entry, content []byte) (ID, error) { return 0, nil }

// Replace gives a message new content (a draft saved again) under its old number.
func (tx *Tx) Replace(id ID, s mail.Summary, content []byte) error { return nil }
func (tx *Tx) SetFlags(id ID, f Flags) error                       { return nil }
func (tx *Tx) SetFolder(id ID, f Folder) error                     { return nil }
func (tx *Tx) SetDelivery(id ID, d *Delivery) error                { return nil }
func (tx *Tx) Remove(id ID) error                                  { return nil }
func (tx *Tx) PutBlob(data []byte) (sha string, err error)         { return "", nil }
func (tx *Tx) SetMeta(key string, value []byte) error              { return nil }

func OSFS(dir string) FS { return nil }

type MemFS struct{}

func NewMemFS() *MemFS                          { return &MemFS{} }
func (m *MemFS) Open(name string) (File, error) { return nil, nil }
func (m *MemFS) List() ([]string, error)        { return nil, nil }
func (m *MemFS) Remove(name string) error       { return nil }
func (m *MemFS) Sub(name string) (FS, error)    { return nil, nil }
func (m *MemFS) RemoveAll(name string) error    { return nil }
