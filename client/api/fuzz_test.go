package api

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// echoEngine answers every call with something, so that a fuzzed call reaches the encoder too.
type echoEngine struct{ fakeEngine }

func (*echoEngine) Status(context.Context) (Status, error) { return Status{Version: "v"}, nil }
func (*echoEngine) SignIn(_ context.Context, r SignIn) (Account, error) {
	return Account{Email: r.Email}, nil
}
func (*echoEngine) SignOut(context.Context, SignOut) error { return errors.New("no") }
func (*echoEngine) List(_ context.Context, r ListQuery) (ListPage, error) {
	return ListPage{Offset: r.Offset, Rows: []Row{{Subject: r.Query}}}, nil
}
func (*echoEngine) Message(_ context.Context, r MessageRef) (Message, error) {
	return Message{Row: Row{ID: r.ID}}, nil
}
func (*echoEngine) Source(context.Context, MessageRef) ([]byte, error) { return []byte("s"), nil }
func (*echoEngine) Attachment(_ context.Context, r PartRef) (Part, []byte, error) {
	return Part{Index: r.Index}, nil, nil
}
func (*echoEngine) Mark(context.Context, Mark) error   { return nil }
func (*echoEngine) Move(context.Context, Move) error   { return nil }
func (*echoEngine) Erase(context.Context, Erase) error { return nil }
func (*echoEngine) Upload(_ context.Context, r Upload, b []byte) (DraftAttachment, error) {
	return DraftAttachment{Name: r.Name, Size: int64(len(b))}, nil
}
func (*echoEngine) Forwardable(context.Context, MessageRef) ([]DraftAttachment, error) {
	return nil, nil
}
func (*echoEngine) OpenDraft(context.Context, MessageRef) (Draft, error) { return Draft{}, nil }
func (*echoEngine) SaveDraft(_ context.Context, d Draft) (Draft, error)  { return d, nil }
func (*echoEngine) Send(_ context.Context, d Draft) (MessageID, error)   { return d.ID, nil }
func (*echoEngine) Retry(context.Context, MessageRef) error              { return nil }
func (*echoEngine) Unsend(context.Context, MessageRef) error             { return nil }
func (*echoEngine) SyncNow(context.Context, AccountID) error             { return nil }
func (*echoEngine) Prepare(context.Context) error                        { return nil }
func (*echoEngine) Admit(context.Context, string) error                  { return nil }
func (*echoEngine) Reconnect(context.Context) error                      { return nil }

// FuzzServe sends the engine's end a frame of anything: it must answer each numbered call once and live on.
func FuzzServe(f *testing.F) {
	for _, method := range []string{"Status", "SignIn", "List", "Attachment", "Upload", "SaveDraft", "Send", "SyncNow", "x"} {
		f.Add(uint64(1), uint8(KindCall), method, []byte(`{"account":"a","id":1,"offset":2}`), []byte("blob"))
	}
	f.Add(uint64(7), uint8(KindCancel), "", []byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, id uint64, kind uint8, method string, body, blob []byte) {
		page, worker := Pipe()
		engine := &echoEngine{}
		var wg sync.WaitGroup
		wg.Go(func() { _ = Serve(context.Background(), worker, engine, engine) })
		defer wg.Wait()
		defer page.Close()
		if err := page.Send(Frame{ID: id, Kind: Kind(kind), Method: method, Body: body, Blob: blob}); err != nil {
			t.Fatal(err)
		}
		if Kind(kind) == KindCall && id != 0 {
			f, err := page.Receive(context.Background())
			if err != nil || f.ID != id || f.Kind != KindReply && f.Kind != KindFailure {
				t.Fatalf("answer %+v, %v", f, err)
			}
		}
	})
}

// FuzzClient answers the page's call with anything: the call must end, with an answer or a *Problem.
func FuzzClient(f *testing.F) {
	f.Add(uint8(KindReply), []byte(`{"version":"1","accounts":[{"id":"a"}]}`), []byte(`{"gateway":{"state":"online"}}`))
	f.Add(uint8(KindFailure), []byte(`{"code":"storage"}`), []byte(`{}`))
	f.Add(uint8(KindFailure), []byte(`{`), []byte(`[`))
	f.Fuzz(func(t *testing.T, kind uint8, body, event []byte) {
		page, worker := Pipe()
		c := NewClient(page, func(Event) {})
		var wg sync.WaitGroup
		wg.Go(func() { _ = c.Run(context.Background()) })
		defer wg.Wait()
		defer c.Close()
		wg.Go(func() {
			call, err := worker.Receive(context.Background())
			if err != nil {
				return
			}
			_ = worker.Send(Frame{Kind: KindEvent, Body: event})
			_ = worker.Send(Frame{ID: call.ID + 1, Kind: KindReply})
			_ = worker.Send(Frame{ID: call.ID, Kind: Kind(kind), Body: body})
			worker.Close()
		})
		if _, err := c.Status(context.Background()); err != nil {
			var p *Problem
			if !errors.As(err, &p) || p.Code == "" {
				t.Fatalf("not a problem: %v", err)
			}
		}
	})
}
