package web

import (
	"io"
	"log"
	"log/slog"
	"net/http"
	"time"
)

// The limits of a connection. They hold until a tunnel takes it over: net/http clears its deadlines then, and the
// bridge sets its own.
const (
	headerTimeout  = 10 * time.Second // a browser sends its headers at once; this forgives a bad line, not a slow loris
	requestTimeout = 30 * time.Second // nothing here reads a body
	// sendTimeout is how long an answer may take to be read: the engine, 2.6 MB, at 35 kbit/s. Past it the reader is
	// taken for one that holds connections open on purpose.
	sendTimeout = 10 * time.Minute
	idleTimeout = 2 * time.Minute // a page's next request comes soon or opens a new connection at no great cost
	maxHeader   = 32 << 10        // ours take 1 KB; cookies of other programs on localhost come along

	// Of HTTP/2 (RFC 9113), which is spoken where there is TLS. Each answer that nobody reads holds its goroutine and its buffers,
	// and the 250 of Go's default were 12 MB for each of a client's 256 connections. A page has a dozen files.
	streams = 16
	frame   = 16 << 10 // the least there is: what comes are headers
)

// NewServer is an http.Server for h that no slow or huge request can hold up.
func NewServer(h http.Handler, logger *slog.Logger) *http.Server {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      sendTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: streams, MaxReadFrameSize: frame, MaxReceiveBufferPerConnection: 4 * frame, MaxReceiveBufferPerStream: frame},
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	if logger != nil {
		// What clients do wrong is theirs to know: it is worth a line only to somebody who looks for it.
		s.ErrorLog = slog.NewLogLogger(logger.Handler(), slog.LevelDebug)
	}
	return s
}
