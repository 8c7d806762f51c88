package maildrop

import "fmt"

// defaultReserve is room for what a batch adds to the journal, 16 MiB at most, for
// the index's log, some times 4, and for much that is deleted while somebody reads.
const defaultReserve = 64 << 20

// Room answers ErrFull when a content of so many octets, 0 if that is not known,
// would not be taken now, for it would leave less of the disk free than the
// reserve.
//
// A disk that is full to the last octet cannot even forget: to delete a message
// or to note that another server has it is something to write. So those who can
// make room would not be able to, and what was sent would be sent again after a
// restart.
func (s *Store) Room(size int64) error {
	if s.opts.Reserve < 0 {
		return nil
	}
	free, err := s.disk.Free(s.dir)
	if err == nil && free-max(size, 0) < s.opts.Reserve {
		return fmt.Errorf("%w: %d octets are free, and %d are for what makes room", ErrFull, free, s.opts.Reserve)
	}
	return nil // a disk that does not tell has its say when it is written to
}

// room is asked before a content is taken, while a large one comes, and before it
// is kept: so the reserve is short at most of what is being committed.
func (in *Incoming) room() error {
	if in.reserved {
		return nil
	}
	return in.store.Room(0)
}
