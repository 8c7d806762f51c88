package mailserver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// memory is something that a server knows of the world, that is no mail, and that
// it should not have to learn anew after a restart.
type memory struct {
	name string // of the file in memoryFolder
	of   interface {
		Save(io.Writer) error
		Load(io.Reader) error
	}
}

const memoryFolder = "memory"

// memorized is how often it is written down. What is learnt in between is lost in a
// crash, and learnt again.
const memorized = 10 * time.Minute

func (s *Server) memories() (list []memory) {
	if s.judges.greylist != nil {
		list = append(list, memory{"greylist", s.judges.greylist})
	}
	if s.sender != nil && s.sender.policies != nil {
		list = append(list, memory{"mta-sts.json", s.sender.policies})
	}
	return list
}

// remember reads what was written down. Without it the server does as at its first
// start.
func (s *Server) remember() {
	for _, m := range s.memories() {
		err := readMemory(filepath.Join(s.cfg.Dir, memoryFolder, m.name), m.of.Load)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("what the server knew cannot be read, and is learnt again", "file", m.name, "error", err)
		}
	}
}

func readMemory(path string, load func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return load(f)
}

// memorize writes it down, now and then until ctx ends, and then once more.
func (s *Server) memorize(ctx context.Context) {
	tick := time.NewTicker(memorized)
	defer tick.Stop()
	for ended := false; !ended; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			ended = true
		}
		for _, m := range s.memories() {
			if err := writeMemory(filepath.Join(s.cfg.Dir, memoryFolder), m); err != nil {
				s.log.Warn("what the server knows cannot be written down", "file", m.name, "error", err)
			}
		}
	}
}

func writeMemory(dir string, m memory) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var text bytes.Buffer
	if err := m.of.Save(&text); err != nil {
		return err
	}
	return writeDurably(filepath.Join(dir, m.name), text.Bytes())
}
