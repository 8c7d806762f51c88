package maildrop

// pin keeps the files of contents whose rows go meanwhile, for somebody who
// reads them by a list that he makes after it (a backup, an export). They are
// removed when the last has unpinned.
func (s *Store) pin() (unpin func()) {
	s.mu.Lock()
	s.pins++
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		s.pins--
		var ids []int64
		if s.pins == 0 {
			ids, s.unnamed = s.unnamed, nil
		}
		s.mu.Unlock()
		s.removeContents(ids)
	}
}

// removeContents removes the files of contents whose rows are gone, now or when
// nobody has them pinned. After a crash the next Open does.
func (s *Store) removeContents(ids []int64) {
	s.mu.Lock()
	if s.pins > 0 {
		s.unnamed = append(s.unnamed, ids...)
		ids = nil
	}
	s.mu.Unlock()
	for _, id := range ids {
		if err := s.removeContent(id); err != nil {
			s.log.Warn("a deleted message's file stays until the next start", "file", s.contentPath(id), "error", err)
		}
	}
}
