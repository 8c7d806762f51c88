package engine

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
)

// wireFile keeps the transcripts of sessions that failed, in a file of slots in the account's folder: the journal of
// the mailbox never shrinks, and these come and go. A slot holds a length, a CRC-32C and a keptSession as JSON; one that
// a power cut tore is empty. The first slots are for one protocol, the others for the other (keptFailures).
type wireFile struct {
	open func() (store.FS, error)

	mu     sync.Mutex
	known  bool
	used   []uint64 // the session in each slot; 0: none
	closed bool
}

const (
	wireFileName = "wire.log"
	slotSize     = 32 << 10
	slotHeader   = 8
)

type keptSession struct {
	Session api.WireSession `json:"session"`
	Deep    bool            `json:"deep,omitempty"`
	Lines   []api.WireLine  `json:"lines"`
}

// wireFolder is where an account's transcripts are kept.
func (a *account) wireFolder() (store.FS, error) { return a.e.FS.Sub(accountFolder(a.id)) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (f *wireFile) shut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

// slots are the numbers of a protocol's slots, first and past the last.
func slots(p api.Protocol) (from, to int) {
	if p == api.SMTP || p == api.FTP {
		return 0, keptFailures[p]
	}
	return keptFailures[api.SMTP], keptFailures[api.SMTP] + keptFailures[api.POP3]
}

// read answers the sessions in the file, the oldest first.
func (f *wireFile) read() ([]*wireRecorder, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, nil
	}
	_, most := slots(api.POP3)
	f.used = make([]uint64, most)
	file, err := f.file()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	f.known = true
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	var found []*wireRecorder
	for i := range most {
		off := int64(i) * slotSize
		if off >= size {
			break
		}
		p := make([]byte, min(slotSize, size-off))
		if n, err := file.ReadAt(p, off); err != nil && err != io.EOF {
			return found, err
		} else if s, ok := decodeSlot(p[:n]); ok {
			f.used[i] = s.Session.ID
			found = append(found, s.recorder(i+1))
		}
	}
	slices.SortFunc(found, func(x, y *wireRecorder) int { return cmp.Compare(x.session.ID, y.session.ID) })
	return found, nil
}

// write puts a session into a slot, from 1: that one, or with 0 a free one or the one used longest ago.
func (f *wireFile) write(slot int, s keptSession) (int, error) {
	p, err := encodeSlot(s)
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || !f.known {
		return 0, nil
	}
	if slot == 0 {
		from, to := slots(s.Session.Protocol)
		slot = from + 1
		for i := from; i < to; i++ {
			if f.used[i] < f.used[slot-1] {
				slot = i + 1
			}
		}
	}
	file, err := f.file()
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if _, err := file.WriteAt(p, int64(slot-1)*slotSize); err != nil {
		return 0, err
	}
	f.used[slot-1] = s.Session.ID
	return slot, file.Sync()
}

func (f *wireFile) file() (store.File, error) {
	fs, err := f.open()
	if err != nil {
		return nil, err
	}
	return fs.Open(wireFileName)
}

// encodeSlot leaves out the lines in the middle that there is no room for.
func encodeSlot(s keptSession) ([]byte, error) {
	for {
		b, err := json.Marshal(s)
		if err != nil {
			return nil, err
		}
		if len(b) <= slotSize-slotHeader {
			p := binary.LittleEndian.AppendUint32(make([]byte, 0, slotHeader+len(b)), uint32(len(b)))
			return append(binary.LittleEndian.AppendUint32(p, crc32.Checksum(b, castagnoli)), b...), nil
		}
		n := len(s.Lines)
		cut := max(2, n/8)
		if n <= 2*cut {
			return nil, fmt.Errorf("a transcript of %d octets in %d lines", len(b), n)
		}
		from := (n - cut) / 2
		last := s.Lines[from+cut-1]
		last.Who, last.Text = api.Remark, "… some lines left out"
		s.Lines = slices.Concat(s.Lines[:from], []api.WireLine{last}, s.Lines[from+cut:])
	}
}

func decodeSlot(p []byte) (s keptSession, ok bool) {
	if len(p) < slotHeader {
		return s, false
	}
	n, sum := binary.LittleEndian.Uint32(p), binary.LittleEndian.Uint32(p[4:])
	if n == 0 || int64(n) > int64(len(p)-slotHeader) {
		return s, false
	}
	b := p[slotHeader : slotHeader+n]
	return s, crc32.Checksum(b, castagnoli) == sum && json.Unmarshal(b, &s) == nil && s.Session.ID != 0 && s.Session.Problem != nil
}

// recorder is a session of an earlier run.
func (s keptSession) recorder(slot int) *wireRecorder {
	r := &wireRecorder{session: s.Session, deep: s.Deep, slot: slot, last: s.Session.ID}
	for _, l := range s.Lines {
		r.head = append(r.head, wireEntry{seq: l.Seq, at: l.At, who: l.Who, state: l.State, text: l.Text, data: l.Data})
		r.size += len(l.Text)
		r.last = max(r.last, l.Seq)
	}
	return r
}
