package maildrop

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"
)

// layAgain is when files are tried again that could not be written.
const layAgain = 10 * time.Second

// oldest is what retire is at; nil if it has nothing to do.
func (j *journal) oldest() *sealed {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.sealed) == 0 {
		return nil
	}
	return j.sealed[0]
}

// retire gives what is in the journal its files, and lets the journal's be used
// again.
func (j *journal) retire() {
	defer close(j.done)
	for {
		s := j.oldest()
		if s == nil {
			select {
			case <-j.more:
				continue
			case <-j.ending:
			}
			if s = j.oldest(); s == nil {
				return
			}
		}
		if err := j.serve(s); err != nil {
			j.store.log.Error("writing message files; what the journal has of them stays there and is tried again", "journal", s.name, "error", err)
			select {
			case <-time.After(layAgain):
				continue
			case <-j.ending: // the next start replays it
				s.volume.close()
			}
		}
		j.mu.Lock()
		j.sealed = j.sealed[1:]
		j.mu.Unlock()
	}
}

// serve does with a file what is still to be done.
func (j *journal) serve(s *sealed) error {
	if err := j.store.layAll(s); err != nil {
		return err
	}
	s.volume.close()
	spares := j.spare
	if s.room == 0 {
		spares = nil
	}
	select {
	case spares <- s.spare:
		return nil
	default:
	}
	if err := j.store.disk.Remove(s.name); err != nil {
		j.store.log.Warn("a part of the journal that has served stays until the next start", "journal", s.name, "error", err)
	}
	return nil
}

// layAll writes the files of what has none yet, and flushes all. After an error
// it can go on where it was.
func (s *Store) layAll(j *sealed) error {
	for _, id := range j.contents {
		err := s.fresh.lay(id, func(octets []byte) error {
			if err := s.Room(int64(len(octets))); err != nil {
				return err // it has time
			}
			return s.lay(id, octets)
		}, func() { s.disk.Remove(s.contentPath(id)) })
		if err != nil {
			return err
		}
	}
	for len(j.unnamed) > 0 {
		if err := s.putAside(j.unnamed[0]); err != nil {
			return err
		}
		j.unnamed = j.unnamed[1:]
	}
	laid := s.fresh.laid(j.contents)
	if len(laid) == 0 {
		return nil
	}
	if err := s.flush(laid); err != nil {
		// What the system could not write it holds for written from now on: the next
		// flush would say nothing. So all is written anew, after a restart, too.
		s.fresh.unlay(laid)
		for _, id := range laid {
			s.disk.Remove(s.contentPath(id))
		}
		return err
	}
	s.fresh.settle(laid)
	return nil
}

// lay writes a small content's file, and does not flush it: the journal has it.
func (s *Store) lay(id int64, octets []byte) error {
	if err := s.makeShard(id); err != nil {
		return err
	}
	path := s.contentPath(id)
	f, err := s.disk.Create(path)
	if errors.Is(err, fs.ErrExist) { // of an attempt that failed, or that a power cut has torn
		if err = s.disk.Remove(path); err == nil {
			f, err = s.disk.Create(path)
		}
	}
	if err != nil {
		return err
	}
	if len(octets) > 0 {
		_, err = f.Write(octets)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		s.disk.Remove(path)
	}
	return err
}

// flush flushes the files of contents.
func (s *Store) flush(ids []int64) error {
	files := make([]string, len(ids))
	for i, id := range ids {
		files[i] = s.contentPath(id)
	}
	return s.disk.Flush(filepath.Join(s.dir, "content"), files)
}
