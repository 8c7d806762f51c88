package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCallsCarryRequestAnswerAndBlob(t *testing.T) {
	want := Status{Version: "1.2", Gateway: Gateway{State: Offline, RetryAt: time.Unix(1700000000, 0).UTC()},
		Accounts: []Account{{ID: "a", Folders: []Folder{{ID: Inbox, Total: 3, Revision: 9}}}}}
	engine := &fakeEngine{
		status: func(context.Context) (Status, error) { return want, nil },
		source: func(_ context.Context, r MessageRef) ([]byte, error) {
			return []byte(fmt.Sprintf("%s/%d\x00\xff", r.Account, r.ID)), nil
		},
		upload: func(_ context.Context, r Upload, data []byte) (DraftAttachment, error) {
			return DraftAttachment{Name: r.Name, Size: int64(len(data)), Blob: BlobID(data[:1])}, nil
		},
		syncNow: func(context.Context, AccountID) error { return nil },
	}
	c, _ := join(t, engine, nil)
	ctx := t.Context()
	got, err := c.Status(ctx)
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("Status: %v %s", err, cmp.Diff(want, got))
	}
	source, err := c.Source(ctx, MessageRef{Account: "x", ID: 1<<53 - 1})
	if err != nil || string(source) != "x/9007199254740991\x00\xff" {
		t.Errorf("Source = %q, %v", source, err)
	}
	a, err := c.Upload(ctx, Upload{Name: "n"}, bytes.Repeat([]byte("z"), 1<<20))
	if err != nil || a.Size != 1<<20 || a.Blob != "z" {
		t.Errorf("Upload = %+v, %v", a, err)
	}
	if err := c.SyncNow(ctx, ""); err != nil {
		t.Errorf("SyncNow: %v", err)
	}
}

func TestErrorsCrossAsProblems(t *testing.T) {
	var fail error
	c, _ := join(t, &fakeEngine{signIn: func(context.Context, SignIn) (Account, error) { return Account{}, fail }}, nil)
	for _, test := range []struct {
		name string
		err  error
		want Problem
	}{
		{"a problem is itself", &Problem{Code: CodeWrongPassword, Detail: "no", Technical: "-ERR no"}, Problem{Code: CodeWrongPassword, Detail: "no", Technical: "-ERR no"}},
		{"a wrapped problem too", fmt.Errorf("signing in: %w", &Problem{Code: CodeCertificate}), Problem{Code: CodeCertificate}},
		{"any other is internal", errors.New("oh"), Problem{Code: CodeInternal, Technical: "oh"}},
		{"a context's end is a cancel", context.DeadlineExceeded, Problem{Code: CodeCanceled, Technical: "context deadline exceeded"}},
	} {
		fail = test.err
		_, err := c.SignIn(t.Context(), SignIn{})
		var p *Problem
		if !errors.As(err, &p) || *p != test.want {
			t.Errorf("%s: got %v, want %v", test.name, err, &test.want)
		}
		if errors.Is(err, ErrClosed) {
			t.Errorf("%s: taken for ErrClosed", test.name)
		}
	}
}

func TestPanicCostsItsCallAlone(t *testing.T) {
	c, _ := join(t, &fakeEngine{
		status: func(context.Context) (Status, error) { return Status{Version: "up"}, nil },
		signIn: func(context.Context, SignIn) (Account, error) { panic("a fault") },
	}, nil)
	_, err := c.SignIn(t.Context(), SignIn{})
	if p := AsProblem(err); p.Code != CodeInternal || !strings.Contains(p.Technical, "a fault") {
		t.Errorf("got %v", err)
	}
	if s, err := c.Status(t.Context()); err != nil || s.Version != "up" {
		t.Errorf("after the panic: %+v, %v", s, err)
	}
}

func TestCancelReachesTheEngine(t *testing.T) {
	began, ended := make(chan struct{}), make(chan error, 1)
	c, _ := join(t, &fakeEngine{signIn: func(ctx context.Context, _ SignIn) (Account, error) {
		close(began)
		<-ctx.Done()
		ended <- ctx.Err()
		return Account{}, ctx.Err()
	}}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	_, err := c.SignIn(ctx, SignIn{})
	if p := AsProblem(err); p.Code != CodeCanceled || errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := <-ended; err != context.Canceled {
		t.Errorf("the engine's call ended with %v", err)
	}
}

func TestClosedConnFailsEveryCall(t *testing.T) {
	var began sync.WaitGroup
	began.Add(3)
	engine := &fakeEngine{signIn: func(ctx context.Context, _ SignIn) (Account, error) {
		began.Done()
		<-ctx.Done()
		return Account{}, ctx.Err()
	}}
	c, served := join(t, engine, nil)
	errs := make(chan error, 3)
	for range 3 {
		go func() {
			_, err := c.SignIn(context.Background(), SignIn{})
			errs <- err
		}()
	}
	began.Wait()
	c.Close()
	for range 3 {
		if err := <-errs; !errors.Is(err, ErrClosed) {
			t.Errorf("under way: %v", err)
		}
	}
	<-c.Done()
	if _, err := c.Status(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("afterwards: %v", err)
	}
	<-served // and the engine's side ended, its calls canceled
}

func TestEngineGoneFailsCalls(t *testing.T) {
	page, worker := Pipe()
	c := NewClient(page, nil)
	var run error
	var wg sync.WaitGroup
	wg.Go(func() { run = c.Run(context.Background()) })
	worker.Close()
	wg.Wait()
	if _, err := c.Status(t.Context()); !errors.Is(err, ErrClosed) || !errors.Is(run, ErrClosed) {
		t.Errorf("Status: %v, Run: %v", err, run)
	}
}

func TestCallsRunTogetherButBounded(t *testing.T) {
	var mu sync.Mutex
	running, most := 0, 0
	gate := make(chan struct{})
	reached := make(chan struct{}, 100)
	c, _ := join(t, &fakeEngine{list: func(ctx context.Context, q ListQuery) (ListPage, error) {
		mu.Lock()
		running++
		most = max(most, running)
		mu.Unlock()
		reached <- struct{}{}
		<-gate
		mu.Lock()
		running--
		mu.Unlock()
		return ListPage{Offset: q.Offset}, nil
	}}, nil)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			p, err := c.List(t.Context(), ListQuery{Offset: i})
			if err != nil || p.Offset != i {
				t.Errorf("call %d got %+v, %v", i, p, err)
			}
		})
	}
	for range maxRunning {
		<-reached
	}
	close(gate)
	wg.Wait()
	if most != maxRunning {
		t.Errorf("%d calls at a time, want %d", most, maxRunning)
	}
}
