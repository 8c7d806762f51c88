package bundle

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/andybalholm/brotli"
)

// leastSize is what is not worth compressing: with its headers it is one packet either way.
const leastSize = 256

// window is brotli's, as a power of two: 16 MB, the largest of RFC 7932 and larger than any of the programs, so that each
// repetition in one is found (15 KB of the engine's 2.5 MB). Every browser takes it.
const window = 24

// compressible says whether a file's format leaves anything to compress.
func compressible(name string) bool {
	switch path.Ext(name) {
	case ".png", ".webp", ".woff2", ".ico":
		return false
	}
	return true
}

// compress fills in the variants of every file, as many at a time as there are processors.
func compress(ctx context.Context, r *Result, quality int, s *shelf) error {
	if quality < brotli.BestSpeed+1 || quality > brotli.BestCompression {
		return fmt.Errorf("brotli's quality is 1 to 11, not %d", quality)
	}
	type job struct {
		file   *File
		coding string
	}
	jobs := make(chan job)
	faults := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for j := range jobs {
				var err error
				if j.coding == "br" {
					j.file.Brotli, err = s.variant(j.file.Content, fmt.Sprintf("w%d-%d.br", window, quality), func(w io.Writer) io.WriteCloser {
						return brotli.NewWriterOptions(w, brotli.WriterOptions{Quality: quality, LGWin: window})
					})
				} else {
					j.file.Gzip, err = s.variant(j.file.Content, "9.gz", func(w io.Writer) io.WriteCloser {
						z, _ := gzip.NewWriterLevel(w, gzip.BestCompression) // fails for an unknown level alone
						return z
					})
				}
				if err != nil {
					select {
					case faults <- err:
					default:
					}
					cancel()
				}
			}
		})
	}
	func() {
		defer close(jobs)
		for _, coding := range []string{"br", "gz"} {
			for i := range r.Files {
				f := &r.Files[i]
				if len(f.Content) < leastSize || !compressible(f.Name) {
					continue
				}
				select {
				case jobs <- job{f, coding}:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	workers.Wait()
	select {
	case err := <-faults:
		return err
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.clear()
}

// shelf keeps what has been compressed, by the hash of what went in, so that it is done once.
type shelf struct {
	dir string
}

// keepFor is how long an entry that nobody asks for stays: an old branch or an old release looked at again.
const keepFor = 14 * 24 * time.Hour

// variant compresses content, or finds that done. It is nil where the result is no smaller.
func (s *shelf) variant(content []byte, kind string, writer func(io.Writer) io.WriteCloser) ([]byte, error) {
	sum := sha256.Sum256(content)
	name := filepath.Join(s.dir, hex.EncodeToString(sum[:])+"-"+kind)
	b, err := os.ReadFile(name)
	if err == nil {
		now := time.Now()
		_ = os.Chtimes(name, now, now) // it is wanted; that it cannot be marked so costs doing it again one day
	} else {
		var out bytes.Buffer
		z := writer(&out)
		if _, err := z.Write(content); err != nil {
			return nil, err
		}
		if err := z.Close(); err != nil {
			return nil, err
		}
		b = out.Bytes()
		if err := replace(name, b); err != nil {
			return nil, err
		}
	}
	if len(b) >= len(content) {
		return nil, nil
	}
	return b, nil
}

// clear removes what nobody has asked for in a long time.
func (s *shelf) clear() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > keepFor {
			_ = os.Remove(filepath.Join(s.dir, e.Name())) // somebody else's build may have been quicker
		}
	}
	return nil
}
