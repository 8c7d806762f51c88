package maildrop

import "fmt"

// defaultReserve is room for the journal and the index's log at their largest, 8
// MiB and some times 4, and for much that is deleted while somebody reads.
const defaultReserve = 64 << 20

// room answers ErrFull when new mail has to stay outside, for the disk has no
// more than the reserve left. It is asked before a content is taken, while a
// large one comes, and before it is kept: so the reserve is short at most of
// what is being committed.
//
// A disk that is full to the last octet cannot even forget: to delete a message
// or to note that another server has it is something to write. So those who can
// make room would not be able to, and what was sent would be sent again after a
// restart.
func (in *Incoming) room() error {
	s := in.store
	if in.reserved || s.opts.Reserve < 0 {
		return nil
	}
	free, err := s.disk.Free(s.dir)
	if err == nil && free < s.opts.Reserve {
		return fmt.Errorf("%w: %d octets are free, and %d are for what makes room", ErrFull, free, s.opts.Reserve)
	}
	return nil // a disk that does not tell has its say when it is written to
}
