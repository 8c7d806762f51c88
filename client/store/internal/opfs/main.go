//go:build js

// Opfs is the program of the file system's browser test; its cases run in workers.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall/js"
	"time"

	"github.com/postern-mail/postern/client/internal/browsertest/program"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mail"
)

// check collects what is not as it should be.
type check struct{ wrong []string }

func (c *check) that(ok bool, format string, args ...any) {
	if !ok {
		c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
	}
}

func (c *check) result() (string, error) {
	if len(c.wrong) > 0 {
		return "", errors.New(strings.Join(c.wrong, "\n"))
	}
	return "ok", nil
}

// files is what every FS must do.
func files(fs store.FS) (string, error) {
	c := &check{}
	must := func(err error) { c.that(err == nil, "%v", err) }

	names, err := fs.List()
	must(err)
	c.that(len(names) == 0, "an empty folder holds %v", names)

	f, err := fs.Open("log")
	if err != nil {
		return "", err
	}
	size, err := f.Size()
	must(err)
	c.that(size == 0, "a new file has %d octets", size)
	b := make([]byte, 4)
	n, err := f.ReadAt(b, 0)
	c.that(n == 0 && err == io.EOF, "reading an empty file: %d, %v", n, err)

	n, err = f.WriteAt([]byte("hello world"), 0)
	c.that(n == 11 && err == nil, "write: %d, %v", n, err)
	_, err = f.WriteAt([]byte("W"), 6)
	must(err)
	must(f.Sync())
	b = make([]byte, 11)
	n, err = f.ReadAt(b, 0)
	c.that(n == 11 && (err == nil || err == io.EOF) && string(b) == "hello World", "read: %q, %v", b[:n], err)
	n, err = f.ReadAt(b, 6)
	c.that(n == 5 && err == io.EOF && string(b[:n]) == "World", "read past the end: %q, %v", b[:n], err)
	n, err = f.ReadAt(b[:2], 100)
	c.that(n == 0 && err == io.EOF, "read beyond the end: %d, %v", n, err)
	_, err = f.ReadAt(b, -1)
	c.that(err != nil, "a negative offset is read")

	_, err = f.WriteAt([]byte("!"), 15)
	must(err)
	b = make([]byte, 16)
	_, err = f.ReadAt(b, 0)
	c.that((err == nil || err == io.EOF) && string(b) == "hello World\x00\x00\x00\x00!", "a hole reads %q, %v", b, err)
	must(f.Truncate(5))
	size, err = f.Size()
	c.that(err == nil && size == 5, "after truncation: %d, %v", size, err)

	big := bytes.Repeat([]byte("0123456789abcdef"), 100_000) // several buffers
	n, err = f.WriteAt(big, 3)
	c.that(n == len(big) && err == nil, "a large write: %d, %v", n, err)
	back := make([]byte, len(big))
	n, err = f.ReadAt(back, 3)
	c.that(n == len(big) && (err == nil || err == io.EOF) && bytes.Equal(back, big), "a large read: %d, %v", n, err)

	// The same file opened twice is one file.
	twin, err := fs.Open("log")
	must(err)
	_, err = twin.WriteAt([]byte("twin"), 0)
	must(err)
	_, err = f.ReadAt(b[:4], 0)
	c.that(err == nil && string(b[:4]) == "twin", "the other handle sees %q, %v", b[:4], err)
	must(f.Close())
	must(f.Close())
	_, err = f.ReadAt(b, 0)
	c.that(err != nil && err != io.EOF, "a closed file is read")
	_, err = twin.ReadAt(b[:4], 0)
	c.that(err == nil, "closing one handle closed the other: %v", err)
	c.that(fs.Remove("log") != nil, "an open file is removed")
	must(twin.Close())

	sub, err := fs.Sub("folder")
	must(err)
	deep, err := sub.Sub("deep")
	must(err)
	g, err := deep.Open("file")
	must(err)
	_, err = g.WriteAt([]byte("x"), 0)
	must(err)
	must(g.Close())
	names, err = fs.List()
	c.that(err == nil && slices.Equal(names, []string{"folder", "log"}), "list: %v, %v", names, err)
	must(fs.Remove("log"))
	c.that(fs.Remove("log") != nil, "what is gone is removed")
	must(fs.RemoveAll("folder"))
	must(fs.RemoveAll("folder"))
	names, err = fs.List()
	c.that(err == nil && len(names) == 0, "at the end: %v, %v", names, err)
	for _, name := range []string{"", ".", "..", "a/b"} {
		_, err := fs.Open(name)
		c.that(err != nil, "opened %q", name)
	}
	return c.result()
}

func content(i int) []byte {
	return []byte(fmt.Sprintf("Subject: message %d\r\n\r\n%s\r\n", i, strings.Repeat("text ", i%500)))
}

func fill(m *store.Mailbox, n int) error {
	return m.Update(func(tx *store.Tx) error {
		from := m.Counts("inbox").Total
		for i := from; i < from+n; i++ {
			e := store.Entry{Folder: "inbox", UID: fmt.Sprint("uid", i), Summary: mail.Summary{Subject: fmt.Sprint("message ", i)}}
			if _, err := tx.Add(e, content(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

func main() {
	program.Main(map[string]program.Case{
		"files": func(ctx context.Context, folder string) (string, error) {
			fs, err := store.OpenOPFS(ctx, folder)
			if err != nil {
				return "", err
			}
			return files(fs)
		},
		// page answers what a page gets, which has no synchronous files.
		"page": func(ctx context.Context, folder string) (string, error) {
			_, err := store.OpenOPFS(ctx, folder)
			return fmt.Sprint(errors.Is(err, store.ErrNoOPFS)), nil
		},
		// add adds a thousand messages to a mailbox and answers how many there are.
		"add": func(ctx context.Context, folder string) (string, error) {
			fs, err := store.OpenOPFS(ctx, folder)
			if err != nil {
				return "", err
			}
			m, err := store.Open(fs, nil)
			if err != nil {
				return "", err
			}
			defer m.Close()
			if err := fill(m, 1000); err != nil {
				return "", err
			}
			return fmt.Sprint(m.Counts("inbox").Total), nil
		},
		// crash adds messages without end; it is terminated from outside.
		"crash": func(ctx context.Context, folder string) (string, error) {
			fs, err := store.OpenOPFS(ctx, folder)
			if err != nil {
				return "", err
			}
			m, err := store.Open(fs, nil)
			if err != nil {
				return "", err
			}
			go func() {
				for fill(m, 50) == nil {
					time.Sleep(time.Millisecond) // lets the browser have its turn
				}
			}()
			return fmt.Sprint(m.Counts("inbox").Total), nil
		},
		// verify reads every message and answers how many there are.
		"verify": func(ctx context.Context, folder string) (string, error) {
			fs, err := store.OpenOPFS(ctx, folder)
			if err != nil {
				return "", err
			}
			m, err := store.Open(fs, nil)
			if err != nil {
				return "", err
			}
			defer m.Close()
			total := m.Counts("inbox").Total
			for _, e := range m.List("inbox", nil, 0, total).Entries {
				b, err := m.Content(e.ID)
				if err != nil {
					return "", err
				}
				if m.Sum(b) != e.Sum {
					return "", fmt.Errorf("message %d is another one", e.ID)
				}
			}
			return fmt.Sprint(total), nil
		},
		// hold keeps a file open for as long as the worker lives.
		"hold": func(ctx context.Context, folder string) (string, error) {
			fs, err := store.OpenOPFS(ctx, folder)
			if err != nil {
				return "", err
			}
			f, err := fs.Open("held")
			if err != nil {
				return "", err
			}
			js.Global().Set("held", js.FuncOf(func(js.Value, []js.Value) any { return f != nil }))
			return "held", nil
		},
		// wait opens the file that is held and answers how long that took.
		"wait": func(ctx context.Context, folder string) (string, error) {
			fs, err := store.OpenOPFS(ctx, folder)
			if err != nil {
				return "", err
			}
			began := time.Now()
			f, err := fs.Open("held")
			if err != nil {
				return "", err
			}
			return fmt.Sprint(time.Since(began).Milliseconds()), f.Close()
		},
		// fill writes until there is no room and answers what the error is.
		"full": func(ctx context.Context, folder string) (string, error) {
			fs, err := store.OpenOPFS(ctx, folder)
			if err != nil {
				return "", err
			}
			f, err := fs.Open("big")
			if err != nil {
				return "", err
			}
			defer f.Close()
			block := make([]byte, 8<<20)
			for at := int64(0); at < 1<<30; at += int64(len(block)) {
				if _, err := f.WriteAt(block, at); err != nil {
					return fmt.Sprint(errors.Is(err, store.ErrFull)), nil
				}
			}
			return "", errors.New("there is room for a gigabyte")
		},
	})
}
