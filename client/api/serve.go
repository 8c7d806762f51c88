package api

import (
	"context"
	"fmt"
	"sync"

	json "github.com/postern-mail/postern/client/internal/wirejson"
)

const (
	// maxRunning bounds the calls that run at one time; the others wait. A page has a handful under way; 32 of the
	// costliest (opening a message of 64 MB) are as much as a browser's memory bears.
	maxRunning = 32
	// maxCalls bounds the calls accepted and not yet answered; past it a call is refused at once.
	maxCalls = 1024
)

// Serve answers a page's calls over conn with svc, each in its own goroutine, and forwards src's events to it, until
// ctx ends or conn is closed; then it cancels what is under way, waits for it, and closes conn. It answers why it
// ended. A panic in a call becomes that call's CodeInternal, and costs no other call.
//
// Answers and events leave in the order in which they came about. A slow page does not hold the engine up: an
// Account or Gateway event that was not yet sent gives way to the next of the same account or gateway.
func Serve(ctx context.Context, conn Conn, svc Service, src Source) error {
	ctx, cancel := context.WithCancel(ctx)
	s := &server{
		conn: conn, svc: svc, out: newOutgoing(),
		running: make(chan struct{}, maxRunning), calls: make(map[uint64]context.CancelFunc),
	}
	unsubscribe := src.Subscribe(func(e Event) {
		if !s.out.event(e) {
			cancel() // a page that leaves so much unread is gone
		}
	})
	var writer sync.WaitGroup
	writer.Go(func() {
		defer cancel()
		s.write(ctx)
	})
	err := s.read(ctx)
	unsubscribe()
	cancel()
	s.wg.Wait()
	conn.Close() // before waiting for the writer, which may be held in Send
	writer.Wait()
	return err
}

type server struct {
	conn    Conn
	svc     Service
	out     *outgoing
	running chan struct{}
	wg      sync.WaitGroup

	mu    sync.Mutex
	calls map[uint64]context.CancelFunc
}

func (s *server) read(ctx context.Context) error {
	for {
		f, err := s.conn.Receive(ctx)
		if err != nil {
			return err
		}
		switch f.Kind {
		case KindCall:
			s.start(ctx, f)
		case KindCancel:
			s.mu.Lock()
			if cancel := s.calls[f.ID]; cancel != nil {
				cancel()
			}
			s.mu.Unlock()
		}
	}
}

func (s *server) start(ctx context.Context, f Frame) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	_, again := s.calls[f.ID]
	full := len(s.calls) >= maxCalls
	if !again && !full && f.ID != 0 {
		s.calls[f.ID] = cancel
	}
	s.mu.Unlock()
	if again || full || f.ID == 0 {
		cancel()
		if full {
			s.out.answer(failure(f.ID, &Problem{Code: CodeInternal, Technical: "too many calls under way"}))
		}
		return // a number used twice or zero: not a caller who could tell the answers apart
	}
	s.wg.Go(func() {
		answer := s.run(ctx, f)
		cancel()
		s.mu.Lock()
		delete(s.calls, f.ID)
		s.mu.Unlock()
		s.out.answer(answer)
	})
}

func (s *server) run(ctx context.Context, f Frame) (answer Frame) {
	select {
	case s.running <- struct{}{}:
		defer func() { <-s.running }()
	case <-ctx.Done():
		return failure(f.ID, AsProblem(ctx.Err()))
	}
	defer func() {
		if r := recover(); r != nil {
			answer = failure(f.ID, &Problem{Code: CodeInternal, Technical: fmt.Sprintf("%s: panic: %v", f.Method, r)})
		}
	}()
	out, blob, err := dispatch(ctx, s.svc, f)
	if err != nil {
		return failure(f.ID, AsProblem(err))
	}
	answer = Frame{ID: f.ID, Kind: KindReply, Blob: blob}
	if out != nil {
		if answer.Body, err = json.Marshal(out); err != nil {
			return failure(f.ID, AsProblem(err))
		}
	}
	return answer
}

func failure(id uint64, p *Problem) Frame {
	body, err := json.Marshal(p)
	if err != nil { // a struct of strings: it cannot be
		body = []byte(`{"code":"internal"}`)
	}
	return Frame{ID: id, Kind: KindFailure, Body: body}
}

func (s *server) write(ctx context.Context) {
	for {
		f, ok := s.out.next(ctx)
		if !ok || s.conn.Send(f) != nil {
			return
		}
	}
}
