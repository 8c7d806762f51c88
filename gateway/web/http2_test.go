package web

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"runtime"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/postern-mail/postern/shared/mailtest"
)

// Somebody opens as many streams of HTTP/2 as he may, and reads no answer. A connection of his costs little more than one of
// HTTP/1.1. No tunnel is opened on a stream (RFC 8441): its connection would be one for all of them.
func TestHTTP2(t *testing.T) {
	authority := mailtest.NewAuthority(t)
	h, err := Handler(Config{Assets: fstest.MapFS{"index.html": {Data: bytes.Repeat([]byte("x"), 1<<20)}}})
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(h, nil)
	s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{authority.Server("localhost")}, NextProtos: []string{"h2", "http/1.1"}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.ServeTLS(l, "", "") }()
	defer func() {
		s.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()

	held := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	const connections = 10
	before := held()
	for range connections {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: authority.Pool(), ServerName: "localhost", NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = c.Write([]byte(http2.ClientPreface))
		f := http2.NewFramer(c, c)
		_ = f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		first, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		of := map[http2.SettingID]uint32{}
		_ = first.(*http2.SettingsFrame).ForeachSetting(func(one http2.Setting) error { of[one.ID] = one.Val; return nil })
		if of[http2.SettingMaxConcurrentStreams] != streams || of[http2.SettingMaxFrameSize] > frame || of[http2.SettingEnableConnectProtocol] != 0 {
			t.Fatalf("%v", of)
		}
		_ = f.WriteSettingsAck()
		answered := 0
		for i := range of[http2.SettingMaxConcurrentStreams] {
			var fields bytes.Buffer
			e := hpack.NewEncoder(&fields)
			for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", "/"}} {
				_ = e.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
			}
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: fields.Bytes(), EndStream: true, EndHeaders: true})
		}
		for answered < streams { // each has its headers, and waits with the rest
			got, err := f.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := got.(*http2.HeadersFrame); ok {
				answered++
			}
		}
	}
	if grown := (held() - before) / connections; grown > 1<<20 {
		t.Errorf("a connection of %d streams holds %d KiB", streams, grown>>10)
	}
}
