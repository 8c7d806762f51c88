package certificate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Files is a pair of files that somebody else keeps new.
type Files struct {
	certificate, key string
	log              *slog.Logger
	now              func() time.Time

	pair atomic.Pointer[tls.Certificate] // which no handshake waits for, however slow the disk

	mu    sync.Mutex
	stamp string // of the files when they were last read, whatever came of it
}

// OpenFiles reads a certificate, with what leads from it to its authority, and its key; both PEM. Now is the time; nil: the
// clock's.
func OpenFiles(certificate, key string, logger *slog.Logger, now func() time.Time) (*Files, error) {
	if now == nil {
		now = time.Now
	}
	f := &Files{certificate: certificate, key: key, log: logger, now: now}
	return f, f.Reload()
}

var _ Source = (*Files)(nil)

// Certificate is the pair, for whatever name: the operator has chosen it.
func (f *Files) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.pair.Load(), nil
}

// Reload reads the files. What is not a pair, or is over, changes nothing and is an error.
func (f *Files) Reload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stamp = f.look() // before the reading: a change in between is seen at the next look
	pair, err := tls.LoadX509KeyPair(f.certificate, f.key)
	if err != nil {
		// The package's words begin with its name, and say which file.
		return fmt.Errorf("the certificate cannot be used: %s (%s and %s)", strings.TrimPrefix(err.Error(), "tls: "), f.certificate, f.key)
	}
	if over := pair.Leaf.NotAfter; f.pair.Load() != nil && f.now().After(over) {
		return fmt.Errorf("the certificate cannot be used: it was good until %s (%s)", over.UTC().Format(time.DateTime), f.certificate)
	}
	f.pair.Store(&pair)
	return nil
}

const (
	// lookInterval is how often the files are looked at: certificates change every few weeks, days before they end.
	lookInterval = 10 * time.Second
	// worryBefore the end of the certificate it is said that nobody has renewed it; and again each day.
	worryBefore = 7 * 24 * time.Hour
)

// Run looks at the files until ctx ends, and reads them again when they change.
func (f *Files) Run(ctx context.Context) {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	var worried time.Time
	for {
		if left := f.end().Sub(f.now()); left < worryBefore && f.now().Sub(worried) >= 24*time.Hour {
			worried = f.now()
			f.log.Warn("the certificate ends soon, or has", "until", f.end(), "file", f.certificate)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !f.changed() {
			continue
		}
		if err := f.Reload(); err != nil {
			f.log.Error("the certificate before goes on", "error", err)
			continue
		}
		f.log.Info("a new certificate", "until", f.end())
	}
}

func (f *Files) end() time.Time { return f.pair.Load().Leaf.NotAfter }

func (f *Files) changed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.look() != f.stamp
}

// look is what changes when the files do. A symbolic link that is turned to another file is a change, too.
func (f *Files) look() string {
	var b strings.Builder
	for _, path := range []string{f.certificate, f.key} {
		info, err := os.Stat(path)
		if err != nil {
			var p *os.PathError
			if errors.As(err, &p) {
				err = p.Err
			}
			fmt.Fprintln(&b, err)
			continue
		}
		fmt.Fprintln(&b, info.Size(), info.ModTime().UnixNano(), inode(info))
	}
	return b.String()
}
