package store

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	version     = 2
	headerSize  = 24
	frameHeader = 16
	scanChunk   = 256 << 10 // how much of a log is read at a time
	writeChunk  = 256 << 10 // smaller frames are written together up to this
)

var (
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
	magicJournal = [8]byte{'P', 's', 't', 'n', 'J', 'r', 'n', 'l'}
	magicContent = [8]byte{'P', 's', 't', 'n', 'C', 'o', 'n', 't'}
)

// logFile is one append-only file of frames.
type logFile struct {
	name   string
	f      File
	buf    []byte // frames to be written together; kept from one write to the next
	marker uint32
	keyed  bool  // the checks of its payloads are under the mailbox's key
	end    int64 // where the next frame goes; all before it is durable
	dirty  bool  // what lies behind end could not be cut off; cut it before writing
	// torn says how many octets of an unfinished header were written over.
	torn int64
	// headerLost says that the header was damaged and had to be written anew.
	headerLost bool
}

// openLog opens or creates a log. The end is left at the end of the file; the journal's reader moves it.
func openLog(fs FS, name string, magic [8]byte) (*logFile, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, fmt.Errorf("store: opening %s: %w", name, err)
	}
	l := &logFile{name: name, f: f, keyed: magic == magicContent}
	if err := l.readHeader(magic); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

func (l *logFile) readHeader(magic [8]byte) error {
	size, err := l.f.Size()
	if err != nil {
		return fmt.Errorf("store: size of %s: %w", l.name, err)
	}
	l.end = size
	var h [headerSize]byte
	if size >= headerSize {
		if err := readFull(l.f, h[:], 0); err != nil {
			return fmt.Errorf("store: reading %s: %w", l.name, err)
		}
		if crc32.Checksum(h[:20], castagnoli) == binary.LittleEndian.Uint32(h[20:]) {
			if !bytes.Equal(h[:8], magic[:]) {
				return fmt.Errorf("%w: %s", ErrFormat, l.name)
			}
			if v := binary.LittleEndian.Uint32(h[8:]); v != version {
				return &VersionError{File: l.name, Version: v, Known: version}
			}
			l.marker = binary.LittleEndian.Uint32(h[12:])
			return nil
		}
	}
	if size <= headerSize {
		// Made, but never finished: a header is synced before anything is written behind it.
		l.torn = size
		if err := l.f.Truncate(0); err != nil {
			return fmt.Errorf("store: creating %s: %w", l.name, err)
		}
		var m [4]byte
		rand.Read(m[:])
		l.marker = binary.LittleEndian.Uint32(m[:]) | 1 // never 0, which would be found in every run of zeros
		l.end = headerSize
		return l.writeHeader(magic)
	}
	// The header is damaged and frames may follow: any of them knows the marker.
	s := scanner{l: l, size: size}
	off, ok, err := s.find(headerSize, false)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%w: %s", ErrFormat, l.name)
	}
	var m [4]byte
	if err := readFull(l.f, m[:], off); err != nil {
		return fmt.Errorf("store: reading %s: %w", l.name, err)
	}
	l.marker = binary.LittleEndian.Uint32(m[:])
	l.headerLost = true
	return l.writeHeader(magic)
}

func (l *logFile) writeHeader(magic [8]byte) error {
	h := append([]byte(nil), magic[:]...)
	h = binary.LittleEndian.AppendUint32(h, version)
	h = binary.LittleEndian.AppendUint32(h, l.marker)
	h = binary.LittleEndian.AppendUint32(h, 0)
	h = binary.LittleEndian.AppendUint32(h, crc32.Checksum(h, castagnoli))
	_, err := l.f.WriteAt(h, 0)
	if err == nil {
		err = l.f.Sync()
	}
	if err != nil {
		return fmt.Errorf("store: creating %s: %w", l.name, err)
	}
	return nil
}

// frame is a payload and its check.
type frame struct {
	payload []byte
	check   uint32
}

// checked makes a frame of the journal.
func checked(payload []byte) frame { return frame{payload, crc32.Checksum(payload, castagnoli)} }

// appendFrameHeader appends the header of a frame at offset off.
func (l *logFile) appendFrameHeader(b []byte, off int64, f frame) []byte {
	i := len(b)
	b = binary.LittleEndian.AppendUint32(b, l.marker)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.payload)))
	b = binary.LittleEndian.AppendUint32(b, f.check)
	return binary.LittleEndian.AppendUint32(b, frameCheck(b[i:], off))
}

func frameCheck(header []byte, off int64) uint32 {
	var o [8]byte
	binary.LittleEndian.PutUint64(o[:], uint64(off))
	return crc32.Update(crc32.Checksum(header[:12], castagnoli), castagnoli, o[:])
}

// write writes frames behind the end and syncs. The end does not move: commit or undo does that.
func (l *logFile) write(frames ...frame) (end int64, err error) {
	if l.dirty {
		if err := l.undo(); err != nil {
			return 0, err
		}
	}
	off, at := l.end, l.end
	buf := l.buf[:0]
	defer func() { l.buf = buf[:0] }()
	flush := func() error {
		if len(buf) == 0 {
			return nil
		}
		_, err := l.f.WriteAt(buf, at)
		at += int64(len(buf))
		buf = buf[:0]
		return err
	}
	for _, f := range frames {
		p := f.payload
		buf = l.appendFrameHeader(buf, off, f)
		off += frameHeader + int64(len(p))
		if len(p) < writeChunk {
			buf = append(buf, p...)
		} else {
			if err := flush(); err != nil {
				return 0, l.failed("writing", err)
			}
			if _, err := l.f.WriteAt(p, at); err != nil {
				return 0, l.failed("writing", err)
			}
			at += int64(len(p))
		}
		if len(buf) >= writeChunk {
			if err := flush(); err != nil {
				return 0, l.failed("writing", err)
			}
		}
	}
	if err := flush(); err != nil {
		return 0, l.failed("writing", err)
	}
	if err := l.f.Sync(); err != nil {
		return 0, l.failed("syncing", err)
	}
	return off, nil
}

// failed marks the log as holding octets behind its end.
func (l *logFile) failed(doing string, err error) error {
	l.dirty = true
	return fmt.Errorf("store: %s %s: %w", doing, l.name, err)
}

// undo cuts off what lies behind the end. The cut is synced, or an update that answered an error could come back.
func (l *logFile) undo() error {
	l.dirty = true
	if err := l.f.Truncate(l.end); err != nil {
		return fmt.Errorf("store: cutting %s: %w", l.name, err)
	}
	if err := l.f.Sync(); err != nil {
		return fmt.Errorf("store: syncing %s: %w", l.name, err)
	}
	l.dirty = false
	return nil
}

// scanner reads a log from front to back through a buffer.
type scanner struct {
	l    *logFile
	size int64
	buf  []byte
	at   int64 // offset of buf[0]
}

// bytes answers n octets at off, valid until the next call. They must lie within the file.
func (s *scanner) bytes(off, n int64) ([]byte, error) {
	if off < s.at || off+n > s.at+int64(len(s.buf)) {
		want := min(max(n, scanChunk), s.size-off)
		if int64(cap(s.buf)) < want {
			s.buf = make([]byte, want)
		}
		s.buf = s.buf[:want]
		s.at = off
		if err := readFull(s.l.f, s.buf, off); err != nil {
			s.buf = s.buf[:0]
			return nil, fmt.Errorf("store: reading %s: %w", s.l.name, err)
		}
	}
	i := off - s.at
	return s.buf[i : i+n], nil
}

// rest answers what the buffer holds from off on, at least a frame's header.
func (s *scanner) rest(off int64) ([]byte, error) {
	if _, err := s.bytes(off, frameHeader); err != nil {
		return nil, err
	}
	return s.buf[off-s.at:], nil
}

// frame answers the payload of the frame at off, valid until the next call; ok is false if there is no good frame. Of a
// keyed file it answers no payload.
func (s *scanner) frame(off int64, anyMarker bool) (payload []byte, ok bool, err error) {
	if s.size-off <= frameHeader {
		return nil, false, nil
	}
	h, err := s.bytes(off, frameHeader)
	if err != nil {
		return nil, false, err
	}
	if !anyMarker && binary.LittleEndian.Uint32(h) != s.l.marker {
		return nil, false, nil
	}
	if frameCheck(h, off) != binary.LittleEndian.Uint32(h[12:]) {
		return nil, false, nil
	}
	marker, n, crc := binary.LittleEndian.Uint32(h), int64(binary.LittleEndian.Uint32(h[4:])), binary.LittleEndian.Uint32(h[8:])
	if n == 0 || n > s.size-off-frameHeader {
		return nil, false, nil
	}
	if s.l.keyed {
		ok, err := s.followed(off, n, marker)
		return nil, ok, err
	}
	if payload, err = s.bytes(off+frameHeader, n); err != nil {
		return nil, false, err
	}
	return payload, crc32.Checksum(payload, castagnoli) == crc, nil
}

// followed says whether what is behind a frame of n octets at off is the end of the file or the marker of another frame
// of this file. It is the proof of a frame whose payload cannot be checked, for want of the key.
func (s *scanner) followed(off, n int64, marker uint32) (bool, error) {
	next := off + frameHeader + n
	if next == s.size {
		return true, nil
	}
	if s.size-next < frameHeader {
		return false, nil
	}
	h, err := s.bytes(next, frameHeader)
	return err == nil && binary.LittleEndian.Uint32(h) == marker, err
}

// find answers the offset of the first good frame at or behind off.
func (s *scanner) find(off int64, marked bool) (int64, bool, error) {
	var m [4]byte
	binary.LittleEndian.PutUint32(m[:], s.l.marker)
	for s.size-off > frameHeader {
		if marked {
			b, err := s.rest(off)
			if err != nil {
				return 0, false, err
			}
			i := bytes.Index(b, m[:])
			if i < 0 {
				off += max(1, int64(len(b))-3)
				continue
			}
			off += int64(i)
		}
		_, ok, err := s.frame(off, !marked)
		if err != nil {
			return 0, false, err
		}
		if ok {
			return off, true, nil
		}
		off++
	}
	return 0, false, nil
}

// readFull reads all of p at off; a file that ends before is io.ErrUnexpectedEOF.
func readFull(f io.ReaderAt, p []byte, off int64) error {
	for len(p) > 0 {
		n, err := f.ReadAt(p, off)
		p, off = p[n:], off+int64(n)
		if len(p) == 0 {
			return nil
		}
		if errors.Is(err, io.EOF) || err == nil && n == 0 {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return nil
}
