package mailserver

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A stranger who was told to come again is known after a restart, and no file of what is known keeps a server from its start.
func TestMemory(t *testing.T) {
	n := &neighbours{}
	cfg := n.sending(t.TempDir())
	cfg.Receiving.Resolver, cfg.Receiving.Greylist = published{}, true
	file := filepath.Join(cfg.Dir, memoryFolder, "greylist")
	far := netip.MustParseAddr("192.0.2.99")
	size := func() int64 {
		info, err := os.Stat(file)
		must(t, err)
		return info.Size()
	}
	const text = "Subject: x\r\n\r\nx\r\n"
	for round := range 2 {
		s := start(t, cfg)
		if answer := s.hand(t, far, "x@far.test", text); strings.HasPrefix(answer, "250") {
			t.Errorf("a stranger: %q", answer)
		}
		must(t, s.Close())
		if got := size(); got != 33 {
			t.Errorf("round %d: %d octets are known", round, got)
		}
	}
	must(t, os.WriteFile(file, []byte("nonsense"), 0o600))
	must(t, os.WriteFile(filepath.Join(cfg.Dir, memoryFolder, "mta-sts.json"), []byte("nonsense"), 0o600))
	must(t, start(t, cfg).Close())
	if got := size(); got != 0 {
		t.Errorf("of nonsense %d octets are known", got)
	}
}
