//go:build js

// Tabs is the program of the platform's browser tests: the page, and in a worker an engine that is nothing but its name.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall/js"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/internal/browsertest/program"
	"github.com/postern-mail/postern/client/internal/promise"
	"github.com/postern-mail/postern/client/platform"
	vjs "github.com/vugu/vugu/js"
)

// engine answers Status with its name. SyncNow kills it.
type engine struct {
	api.Service // what the tests do not call is nil
	name        string

	mu  sync.Mutex
	fns map[int]func(api.Event)
}

func (e *engine) Status(context.Context) (api.Status, error) {
	return api.Status{Version: e.name}, nil
}

func (e *engine) Source(_ context.Context, r api.MessageRef) ([]byte, error) {
	return []byte(strings.Repeat("x", int(r.ID))), nil
}

func (e *engine) SyncNow(context.Context, api.AccountID) error {
	go panic("the engine dies")
	return nil
}

func (e *engine) Prepare(context.Context) error { return nil }

func (e *engine) Admit(context.Context, string) error { return nil }

func (e *engine) Reconnect(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, fn := range e.fns {
		fn(api.Event{Removed: "an event"})
	}
	return nil
}

func (e *engine) Subscribe(fn func(api.Event)) func() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fns == nil {
		e.fns = map[int]func(api.Event){}
	}
	id := len(e.fns)
	e.fns[id] = fn
	return func() { e.mu.Lock(); defer e.mu.Unlock(); delete(e.fns, id) }
}

// page is what the page knows of engines.
type page struct {
	client   *api.Client
	attached int
	events   int
	changed  chan struct{}
}

// scheduler is a lock that draws nothing.
type scheduler struct{ mu sync.Mutex }

func (s *scheduler) Update(fn func()) { s.mu.Lock(); defer s.mu.Unlock(); fn() }
func (s *scheduler) Listen(_ string, fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

func main() {
	p := &page{changed: make(chan struct{}, 1)}
	s := &scheduler{}
	var window *platform.Page
	if !js.Global().Get("document").IsUndefined() {
		window = platform.NewPage(s)
	}
	vault := platform.NewVault("test-vault")
	var log []string
	flush := func() (string, error) {
		var text string
		s.Update(func() { text, log = strings.Join(log, ";"), nil })
		return text, nil
	}

	program.Main(map[string]program.Case{
		"engine": func(ctx context.Context, _ string) (string, error) {
			e := &engine{name: js.Global().Get("crypto").Call("randomUUID").String()}
			platform.ServeTabs(ctx, e, e)
			return "", nil
		},
		"fail": func(ctx context.Context, _ string) (string, error) {
			platform.Fail(&api.Problem{Code: api.CodeStorage, Detail: "nothing works"})
			return "", nil
		},
		"host": func(ctx context.Context, worker string) (string, error) {
			h := &platform.Host{
				Worker: worker, Engine: "/program.wasm",
				Attach: func(ctx context.Context, conn api.Conn) {
					p.client = api.NewClient(conn, func(api.Event) { p.events++ })
					p.attached++
					p.client.Run(ctx)
				},
				Notice: func(*api.Problem) {},
			}
			go h.Run(context.Background())
			return "", nil
		},
		// status answers the engine's name, as soon as there is one.
		"status": func(ctx context.Context, _ string) (string, error) {
			if p.client == nil {
				return "", errors.New("no engine yet")
			}
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			st, err := p.client.Status(ctx)
			return st.Version, err
		},
		"source": func(ctx context.Context, _ string) (string, error) {
			b, err := p.client.Source(ctx, api.MessageRef{ID: 3 << 20})
			return fmt.Sprint(len(b)), err
		},
		"poke":   func(ctx context.Context, _ string) (string, error) { return "", p.client.Reconnect(ctx) },
		"events": func(context.Context, string) (string, error) { return fmt.Sprint(p.events), nil },
		"kill":   func(ctx context.Context, _ string) (string, error) { return "", p.client.SyncNow(ctx, "") },

		"vault-put": func(ctx context.Context, secret string) (string, error) {
			return "", vault.Put(ctx, "alice", []byte(secret))
		},
		"vault-get": func(ctx context.Context, name string) (string, error) {
			b, err := vault.Get(ctx, name)
			return fmt.Sprintf("%q", b), err
		},
		"vault-delete": func(ctx context.Context, name string) (string, error) { return "", vault.Delete(ctx, name) },
		// vault-both opens two vaults at the same time: they agree on one key.
		"vault-both": func(ctx context.Context, name string) (string, error) {
			one, two := platform.NewVault(name), platform.NewVault(name)
			var work sync.WaitGroup
			var errs [2]error
			work.Go(func() { errs[0] = one.Put(ctx, "a", []byte("of one")) })
			work.Go(func() { errs[1] = two.Put(ctx, "b", []byte("of two")) })
			work.Wait()
			if err := errors.Join(errs[:]...); err != nil {
				return "", err
			}
			a, err := two.Get(ctx, "a")
			if err != nil {
				return "", err
			}
			b, err := one.Get(ctx, "b")
			return string(a) + ", " + string(b), err
		},
		// vault-swap puts bob's name on alice's secret.
		"vault-swap": func(ctx context.Context, _ string) (string, error) {
			db, err := promise.Request(ctx, js.Global().Get("indexedDB").Call("open", "test-vault"))
			if err != nil {
				return "", err
			}
			defer db.Call("close")
			secrets := db.Call("transaction", "secrets", "readwrite").Call("objectStore", "secrets")
			record, err := promise.Request(ctx, secrets.Call("get", "alice"))
			if err != nil {
				return "", err
			}
			if _, err := promise.Request(ctx, secrets.Call("put", record, "bob")); err != nil {
				return "", err
			}
			_, err = vault.Get(ctx, "bob")
			return fmt.Sprint(err != nil), nil
		},

		// echo sends messages of these sizes and compares what comes back; it answers how the connection ended.
		"echo": func(ctx context.Context, sizes string) (string, error) {
			return echo(ctx, strings.Fields(sizes))
		},
		// echo-far is echo in a worker whose socket is in another one.
		"echo-far": func(ctx context.Context, sizes string) (string, error) {
			js.Global().Call("importScripts", "/farsocket.js")
			return echo(ctx, strings.Fields(sizes))
		},
		"text": func(_ context.Context, label string) (string, error) {
			t, ok := platform.DecodeText(label, []byte{0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2})
			return fmt.Sprint(t, " ", ok), nil
		},

		"listen": func(context.Context, string) (string, error) {
			window.OnNavigate(func(at string) { log = append(log, "at "+at) })
			window.OnKey(func(k platform.Key) bool {
				b, _ := json.Marshal(k)
				log = append(log, string(b))
				return k.Name == "j"
			})
			window.OnDrop(func() bool { return true }, 1000, func(f platform.File) {
				if f.Data == nil {
					log = append(log, fmt.Sprintf("%s %d unread", f.Name, f.Size))
					return
				}
				log = append(log, fmt.Sprintf("%s %s %q", f.Name, f.Type, f.Data))
			})
			return "", nil
		},
		"log":  func(context.Context, string) (string, error) { return flush() },
		"push": func(_ context.Context, path string) (string, error) { window.Push(path); return window.Location(), nil },
		"back": func(context.Context, string) (string, error) { window.Back(); return "", nil },
		"prefer": func(_ context.Context, v string) (string, error) {
			window.SetPreference("theme", v)
			return window.Preference("theme"), nil
		},
		"preference": func(context.Context, string) (string, error) { return window.Preference("theme"), nil },
		"title":      func(_ context.Context, title string) (string, error) { window.SetTitle(title, 3); return "", nil },
		"theme":      func(_ context.Context, theme string) (string, error) { window.SetTheme(theme); return "", nil },
		"focus": func(_ context.Context, selector string) (string, error) {
			window.Focus(selector)
			window.Rendered()
			return "", nil
		},
		"local": func(_ context.Context, at string) (string, error) {
			t, err := time.Parse(time.RFC3339, at)
			return window.Local(t).Format(time.RFC3339), err
		},
		"save": func(context.Context, string) (string, error) {
			window.SaveFile("evil.html", "text/html", []byte("<script>alert(1)</script>"))
			return "", nil
		},
		"fill": func(_ context.Context, html string) (string, error) {
			f := js.Global().Get("document").Call("querySelector", "iframe")
			window.Frame().Fill(vjs.Value(f), html)
			return "", nil
		},
	})
}

// echo says hello to a server that sends everything back. The first message is the server's.
func echo(ctx context.Context, sizes []string) (string, error) {
	at := js.Global().Get("location")
	s, err := platform.DialSocket(ctx, "ws://"+at.Get("host").String()+"/echo", "test", 64<<10)
	if err != nil {
		return "", err
	}
	if m, err := s.Read(ctx); err != nil || string(m) != "hello" {
		return "", fmt.Errorf("the first message: %q, %w", m, err)
	}
	for i, size := range sizes {
		n, err := strconv.Atoi(size)
		if err != nil {
			return "", err
		}
		sent := bytes.Repeat([]byte{byte(i + 1)}, n)
		if err := s.Write(ctx, sent); err != nil {
			return "", err
		}
		got, err := s.Read(ctx)
		if err != nil {
			return err.Error(), nil
		}
		if !bytes.Equal(got, sent) {
			return "", fmt.Errorf("%d octets came back as %d", n, len(got))
		}
	}
	waits, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := s.Read(waits); !errors.Is(err, context.DeadlineExceeded) {
		return "", fmt.Errorf("a read that nobody answers: %w", err)
	}
	read := make(chan error)
	go func() { _, err := s.Read(ctx); read <- err }()
	if err := s.Close("goodbye"); err != nil {
		return "", err
	}
	if err := <-read; err == nil {
		return "", errors.New("a closed socket reads")
	}
	return s.Write(ctx, nil).Error(), nil
}
