//go:build !js

package main_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/wire"
	"github.com/postern-mail/postern/wasm/internal/bundle"
	"github.com/postern-mail/postern/wasm/internal/workerd"
)

// checkWorker starts the program of gateway/edge/internal/check for each request.
const checkWorker = `
import "./wasm_exec.js";
import { connect } from "cloudflare:sockets";
import program from "./check.wasm";
export default {
  async fetch(request, env) {
    const binding = {};
    let ready;
    const listening = new Promise((resolve) => (ready = resolve));
    const go = new Go();
    const instance = new WebAssembly.Instance(program, { ...go.importObject, workers: { ready } });
    globalThis.context = { env, connect, binding };
    go.run(instance);
    await listening;
    return binding.handleRequest(request);
  },
};
`

// A Conn in workerd is a net.Conn: its deadlines, its ends, its memory.
func TestConn(t *testing.T) {
	dir := checks(t)
	if err := os.WriteFile(filepath.Join(dir, "worker.mjs"), []byte(checkWorker), 0o600); err != nil {
		t.Fatal(err)
	}
	servers := map[string]string{"nobody": "127.0.0.1:1"}
	for name, serve := range map[string]func(net.Conn){
		"late": func(c net.Conn) {
			for one := make([]byte, 1); ; {
				if _, err := c.Read(one); err != nil {
					return
				}
				_, _ = io.WriteString(c, "late")
			}
		},
		"deaf": func(c net.Conn) { <-t.Context().Done() },
		"half": func(c net.Conn) {
			n, _ := io.Copy(io.Discard, c)
			_, _ = fmt.Fprint(c, n)
		},
		"fin": func(c net.Conn) {
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		},
		"silent": func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"echo":   func(c net.Conn) { _, _ = io.Copy(c, c) },
	} {
		servers[name] = listen(t, serve)
	}
	var log safeBuffer
	p, err := workerd.Start(t.Context(), workerd.Options{
		Folder: dir, Anywhere: true, Log: &log, Variables: servers, Settings: settings(t),
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	defer p.Stop()
	for _, name := range []string{"late", "deaf", "half", "fin", "silent", "echo", "dial"} {
		answer, err := http.Get("http://" + p.Address + "/" + name)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, log.String())
		}
		said, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if string(said) != "checked\n" || err != nil {
			t.Errorf("%s: %s %v", name, said, err)
		}
	}
	if t.Failed() {
		t.Log(log.String())
	}
}

// checks is a folder with the program of gateway/edge/internal/check, as check.wasm.
func checks(t testing.TB) (dir string) {
	t.Helper()
	if _, err := workerd.Find(); err != nil {
		t.Skip(err)
	}
	dir = t.TempDir()
	made, err := bundle.Compile(t.Context(), root, filepath.Join(dir, "build"), true, bundle.Program{Package: "./gateway/edge/internal/check", Quick: []string{"all"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range made {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A program that breaks, however it does, leaves nobody waiting: who is about to connect is told, who is connected is cut off, and the
// next one gets a program of his own.
func TestBroken(t *testing.T) {
	dir := checks(t)
	if _, err := build(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"worker.mjs", "headers.mjs", "check.wasm"} {
		from := folder
		if name == "check.wasm" {
			from = dir
		}
		content, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, strings.Replace(name, "check", "edge", 1)), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, how := range []string{"panic", "throw", "deep", "exit"} {
		for _, early := range []bool{false, true} {
			o := workerd.Options{Folder: dir, Settings: settings(t), Variables: map[string]string{}}
			if early {
				o.Variables["early"] = how
			}
			var log safeBuffer
			o.Log = &log
			p, err := workerd.Start(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			for range 2 {
				ws, answer, err := websocket.Dial(ctx, "http://"+p.Address+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
				switch {
				case early && (answer == nil || answer.StatusCode < 500):
					t.Errorf("%s, early: %v, %v", how, answer, err)
				case !early && err != nil:
					t.Errorf("%s: %v", how, err)
				case !early:
					_ = ws.Write(ctx, websocket.MessageBinary, []byte(how))
					if _, _, err := ws.Read(ctx); err == nil || ctx.Err() != nil {
						t.Errorf("%s: the WebSocket says %v, %v", how, err, ctx.Err())
					}
					_ = ws.CloseNow()
				}
			}
			cancel()
			p.Stop()
			if t.Failed() {
				t.Fatal(log.String())
			}
		}
	}
}

func settings(t testing.TB) workerd.Settings {
	t.Helper()
	s, err := workerd.ReadSettings("wrangler.jsonc")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// listen serves connections on loopback until the end of the test.
func listen(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer context.AfterFunc(t.Context(), func() { _ = c.Close() })()
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); running.Wait() })
	return l.Addr().String()
}
