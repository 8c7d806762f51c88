package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestEventsComeInOrder(t *testing.T) {
	engine := &fakeEngine{status: func(context.Context) (Status, error) { return Status{}, nil }}
	var got []string
	c, _ := join(t, engine, func(e Event) { got = append(got, describe(e)) })
	if _, err := c.Status(t.Context()); err != nil { // so that Serve has subscribed
		t.Fatal(err)
	}
	var want []string
	for i := range 200 {
		e := Event{NewMail: &NewMail{Account: "a", Count: i}}
		if i%3 == 0 {
			e = Event{Outbox: &OutboxEvent{Account: "a", Row: Row{ID: MessageID(i), State: StateSent}}}
		}
		want = append(want, describe(e))
		engine.emit(e)
	}
	if _, err := c.Status(t.Context()); err != nil { // its answer comes after the events
		t.Fatal(err)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %v", got)
	}
}

func describe(e Event) string {
	switch {
	case e.Gateway != nil:
		return "gateway " + string(e.Gateway.State)
	case e.Account != nil:
		return fmt.Sprintf("account %s %d", e.Account.ID, e.Account.Sync.Done)
	case e.Removed != "":
		return "removed " + string(e.Removed)
	case e.NewMail != nil:
		return fmt.Sprintf("new %d", e.NewMail.Count)
	case e.Outbox != nil:
		return fmt.Sprintf("outbox %d %s %.1f", e.Outbox.Row.ID, e.Outbox.Row.State, e.Outbox.Row.Progress)
	}
	return "nothing"
}

func TestSlowPageGetsTheLatestState(t *testing.T) {
	o := newOutgoing()
	account := func(id AccountID, done int) Event { return Event{Account: &Account{ID: id, Sync: Sync{Done: done}}} }
	sending := func(p float64) Event {
		return Event{Outbox: &OutboxEvent{Account: "a", Row: Row{ID: 7, State: StateSending, Progress: p}}}
	}
	for _, e := range []Event{
		{Gateway: &Gateway{State: Connecting}},
		account("a", 1), account("b", 1),
		{NewMail: &NewMail{Count: 1}},
		sending(0.1), sending(0.5),
		{Outbox: &OutboxEvent{Account: "a", Row: Row{ID: 7, State: StateSent}}},
		account("a", 2),
		{Gateway: &Gateway{State: Online}},
		{NewMail: &NewMail{Count: 2}},
		{Removed: "b"}, account("b", 5),
	} {
		if !o.event(e) {
			t.Fatal("queue full")
		}
	}
	var got []string
	for len(o.queue) > 0 {
		f, _ := o.next(t.Context())
		var e Event
		if err := json.Unmarshal(f.Body, &e); err != nil || f.ID != 0 || f.Kind != KindEvent {
			t.Fatalf("frame %+v: %v", f, err)
		}
		got = append(got, describe(e))
	}
	want := "new 1, outbox 7 sending 0.5, outbox 7 sent 0.0, account a 2, gateway online, new 2, account b 5"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

func TestDeafPageIsGivenUp(t *testing.T) {
	_, worker := Pipe() // nobody receives at the other end
	engine := &fakeEngine{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = Serve(context.Background(), worker, engine, engine)
	}()
	for i := 0; ; i++ {
		select {
		case <-ended:
			if i < maxPending {
				t.Errorf("given up after %d events", i)
			}
			return
		default:
			engine.emit(Event{NewMail: &NewMail{Count: i}}) // never waits
		}
	}
}

func TestNonsenseGetsAnAnswerOrNone(t *testing.T) {
	page, worker := Pipe()
	engine := &fakeEngine{status: func(context.Context) (Status, error) { return Status{}, nil }}
	var wg sync.WaitGroup
	wg.Go(func() { _ = Serve(context.Background(), worker, engine, engine) })
	for _, f := range []Frame{
		{ID: 1, Kind: KindCall, Method: "NoSuchMethod"},
		{ID: 2, Kind: KindCall, Method: "List", Body: []byte(`{"offset":"x"`)},
		{ID: 3, Kind: KindCall, Method: "SignIn", Body: []byte(`{}`)}, // panics in the fake
		{ID: 0, Kind: KindCall, Method: "Status"},                     // not a call one could answer
		{ID: 9, Kind: KindCancel},
		{ID: 4, Kind: 200},
		{ID: 5, Kind: KindReply},
	} {
		if err := page.Send(f); err != nil {
			t.Fatal(err)
		}
	}
	want := map[uint64]Code{1: CodeBadRequest, 2: CodeBadRequest, 3: CodeInternal}
	for range 3 {
		f, err := page.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var p Problem
		if json.Unmarshal(f.Body, &p) != nil || f.Kind != KindFailure || p.Code != want[f.ID] {
			t.Errorf("answer %d: kind %d, %s", f.ID, f.Kind, f.Body)
		}
		delete(want, f.ID)
	}
	page.Close()
	wg.Wait()
}

func TestServeEndsWithItsContext(t *testing.T) {
	_, worker := Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Serve(ctx, worker, &fakeEngine{}, &fakeEngine{}); err != context.Canceled {
		t.Errorf("got %v", err)
	}
	if err := worker.Send(Frame{}); err != ErrClosed {
		t.Errorf("the Conn is still open: %v", err)
	}
}
