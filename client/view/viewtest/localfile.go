package viewtest

import (
	"context"
	"errors"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// LocalFile is a file of the device, in memory.
type LocalFile struct {
	Of   api.LocalFile
	Data string
	Gone bool // it cannot be read

	Reading func(offset int64) // called before each piece is read
}

// File is a file of the device with a text in it.
func File(name, text string) *LocalFile {
	return &LocalFile{Of: api.LocalFile{Name: name, Size: int64(len(text)), Modified: time.Unix(1e9, 0).UTC()}, Data: text}
}

// Files are some, with their names in them.
func Files(names ...string) (list []view.LocalFile) {
	for _, n := range names {
		list = append(list, File(n, "this is "+n))
	}
	return list
}

// About implements view.LocalFile.
func (f *LocalFile) About() api.LocalFile { return f.Of }

// Read implements view.LocalFile.
func (f *LocalFile) Read(_ context.Context, offset int64, length int) ([]byte, error) {
	if f.Reading != nil {
		f.Reading(offset)
	}
	if f.Gone || offset+int64(length) > int64(len(f.Data)) {
		return nil, errors.New("NotReadableError")
	}
	return []byte(f.Data[offset : offset+int64(length)]), nil
}
