package store

import "fmt"

// Recovery is what Open found wrong with the files and did about it. The zero value is a mailbox without a scratch.
type Recovery struct {
	// Cut is how many octets of an unfinished update were cut off the journal's end: a crash, and nothing is lost
	// that was ever promised.
	Cut int64
	// Damaged are the regions of the journal that cannot be read though there are good updates behind them. They are
	// skipped, and left in the file.
	Damaged []Range
	// Lost is how many updates were in them, as the numbering of the updates shows.
	Lost uint64
	// Strays is how many later changes were to messages that arrived in a lost update.
	Strays int
	// Headers names the files whose header was damaged and has been written anew.
	Headers []string
	// Unclaimed is how many octets at the end of content.log no message refers to. After a crash it is the update
	// that was in flight; if Cut or Damaged tell of more, messages may be saved from there.
	Unclaimed int64
	// Missing are the messages whose content lies beyond the end of content.log: reading them is ErrCorrupt.
	Missing []ID
}

// Range is a part of a file: octets from From up to, but not including, To.
type Range struct{ From, To int64 }

// Harmed says that something was lost that an Update had promised, as far as the files can tell.
func (r *Recovery) Harmed() bool {
	return len(r.Damaged) > 0 || r.Lost > 0 || r.Strays > 0 || len(r.Headers) > 0 || len(r.Missing) > 0
}

func (r *Recovery) String() string {
	if !r.Harmed() {
		if r.Cut == 0 {
			return "the mailbox is whole"
		}
		return fmt.Sprintf("the mailbox is whole; %d octets of an unfinished update were cut off", r.Cut)
	}
	var octets int64
	for _, d := range r.Damaged {
		octets += d.To - d.From
	}
	return fmt.Sprintf("the mailbox is damaged: %d octets of the journal unreadable in %d places, %d updates lost, %d changes without their message, %d messages without content, headers rewritten %v",
		octets, len(r.Damaged), r.Lost, r.Strays, len(r.Missing), r.Headers)
}

// Recovery answers what Open had to do.
func (m *Mailbox) Recovery() Recovery { return m.recovery }

// replay reads the journal and derives the state from it.
func (m *Mailbox) replay() error {
	m.s = newState()
	rec := &m.recovery
	rec.Cut = m.journal.torn
	for _, l := range []*logFile{m.journal, m.content} {
		if l.headerLost {
			rec.Headers = append(rec.Headers, l.name)
		}
	}
	sc := scanner{l: m.journal, size: m.journal.end}
	off := int64(headerSize)
	for off < sc.size {
		payload, ok, err := sc.frame(off, false)
		if err != nil {
			return err
		}
		if ok && m.replayUpdate(payload) {
			off += frameHeader + int64(len(payload))
			continue
		}
		good, found, err := sc.find(off+1, true)
		if err != nil {
			return err
		}
		if !found && !ok {
			rec.Cut += sc.size - off
			break
		}
		if !found {
			good = sc.size // a whole frame that cannot be understood is no unfinished update: it stays
		}
		rec.Damaged = append(rec.Damaged, Range{off, good})
		off = good
	}
	if off < sc.size {
		m.journal.end = off
		if err := m.journal.undo(); err != nil {
			return err
		}
	}
	rec.Strays = m.s.strays
	m.s.finish()
	m.checkContent()
	return nil
}

// replayUpdate applies one update. It answers false for one that cannot be read, or that is older than the last.
func (m *Mailbox) replayUpdate(payload []byte) bool {
	u, err := decodeUpdate(payload)
	if err != nil || u.seq <= m.s.seq {
		return false
	}
	m.recovery.Lost += u.seq - m.s.seq - 1
	m.key = u.key
	m.s.apply(u)
	return true
}

// checkContent compares what the journal says of content.log with its size. The octets are checked when they are read.
func (m *Mailbox) checkContent() {
	claimed := int64(headerSize)
	claim := func(l location) bool {
		end := l.off + frameHeader + l.size
		if l.size == 0 {
			return true
		}
		if end < 0 || end > m.content.end {
			return false
		}
		claimed = max(claimed, end)
		return true
	}
	for id, r := range m.s.entries {
		if !claim(r.location()) {
			m.recovery.Missing = append(m.recovery.Missing, id)
		}
	}
	for _, l := range m.s.blobs {
		claim(l)
	}
	m.recovery.Unclaimed = m.content.end - claimed
}
