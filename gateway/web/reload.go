package web

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"
)

// ReloadPath is where a page in development hears that it has been rebuilt: a stream of server-sent events, one
// `data: changed` for every new index.html.
const ReloadPath = "/dev/reload"

// pollInterval is how often the page's files are looked at in development: often enough to seem immediate.
const pollInterval = 200 * time.Millisecond

func (s *site) reload(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // it stays open as long as the page does
	_ = c.SetWriteDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	last := s.stamp() // before anybody is told that changes are watched for
	if _, err := io.WriteString(w, ": waiting\n\n"); err != nil {
		return
	}
	_ = c.Flush()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
		now := s.stamp()
		if now == last || now == "" {
			continue
		}
		last = now
		if _, err := io.WriteString(w, "data: changed\n\n"); err != nil || c.Flush() != nil {
			return
		}
	}
}

// stamp changes when index.html does, which is written last; it is "" while there is none.
func (s *site) stamp() string {
	info, err := fs.Stat(s.Assets, indexName)
	if err != nil {
		return ""
	}
	return fmt.Sprint(info.Size(), info.ModTime().UnixNano())
}
