package engine

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gosasl "github.com/emersion/go-sasl"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/control"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// deskServer is a mail server's service for administrators, in memory. Alice is one.
type deskServer struct {
	control.Queue
	control.World
	real bool // not in a demo world

	mu       sync.Mutex
	revision uint64
	changed  chan struct{}
	asked    []control.QueueFilter
	did      []control.QueueAction
	faults   []control.Fault
	clocks   []control.ClockChange
	fail     error
}

func (s *deskServer) ServeConn(conn net.Conn) {
	c := &control.Server{Queue: s, Doorkeeper: s, Only: control.Page()}
	if !s.real {
		c.World = s
	}
	c.ServeConn(context.Background(), conn)
}

func (s *deskServer) Mechanisms(context.Context) []string { return []string{sasl.Plain} }
func (s *deskServer) Still(context.Context) error         { return nil }
func (s *deskServer) Begin(context.Context, string) gosasl.Server {
	return gosasl.NewPlainServer(func(_, user, password string) error {
		if user != alice || password != alicePW {
			return &control.Error{Kind: control.Denied, Text: "not you"}
		}
		return nil
	})
}

func (s *deskServer) ViewQueue(_ context.Context, f control.QueueFilter) (control.QueueView, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, f)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return control.QueueView{Revision: s.revision, Now: at, Matching: 7, Waiting: 5, Held: 1, Sending: 1,
		Rows: []control.QueueRow{{ID: 3, Sender: alice, Recipient: "x@far.example", State: "waiting", NextTry: at.Add(time.Hour), Problem: "down"}}}, s.fail
}

func (s *deskServer) ShowQueue(_ context.Context, id int64) (control.QueueDetail, error) {
	if id != 3 {
		return control.QueueDetail{}, &control.Error{Kind: control.NotFound, Text: "no such message"}
	}
	return control.QueueDetail{QueueRow: control.QueueRow{ID: 3}, Code: 452, Enhanced: "4.2.2", Transcript: "10:00:00.000 * Connecting\n10:00:01.500 C EHLO a b\nodd\n(and more)\n", Header: "Subject: x\n"}, nil
}

func (s *deskServer) ChangeQueue(_ context.Context, a control.QueueAction, f control.QueueFilter) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did, s.asked = append(s.did, a), append(s.asked, f)
	return 2, nil
}

func (s *deskServer) WatchQueue(ctx context.Context, since uint64) (uint64, error) {
	s.mu.Lock()
	changed, revision := s.changed, s.revision
	s.mu.Unlock()
	if revision != since {
		return revision, nil
	}
	select {
	case <-changed:
		return since + 1, nil
	case <-ctx.Done():
		return since, ctx.Err()
	}
}

func (s *deskServer) ShowWorld(context.Context) (control.WorldState, error) {
	return control.WorldState{Rate: 60, Servers: []control.WorldServer{{Hostname: "mail.postern.test", Domains: []string{"postern.test"}, Waiting: 4}}}, nil
}

func (s *deskServer) SetFault(ctx context.Context, f control.Fault) (control.WorldState, error) {
	s.faults = append(s.faults, f)
	w, _ := s.ShowWorld(ctx)
	w.Faults = []control.Fault{f}
	return w, nil
}

func (s *deskServer) SetClock(ctx context.Context, c control.ClockChange) (control.WorldState, error) {
	s.clocks = append(s.clocks, c)
	return s.ShowWorld(ctx)
}

func (s *deskServer) change() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	close(s.changed)
	s.changed = make(chan struct{})
}

// atDesk runs fn with alice signed in, who looks after the server.
func atDesk(t *testing.T, fn func(t *testing.T, w *world, s *deskServer, a api.AccountID)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := &deskServer{revision: 1, changed: make(chan struct{})}
		w.pop.Further = []string{"X-POSTERN-ADMIN"}
		w.gateway.serve(wire.Control, s)
		w.gateway.welcome.Embedded.Services = append(w.gateway.welcome.Embedded.Services, wire.Service{Name: wire.Control, Port: 1})
		w.start()
		defer w.halt()
		fn(t, w, s, w.signIn(alice).ID)
	})
}

func TestDesk(t *testing.T) {
	atDesk(t, func(t *testing.T, w *world, s *deskServer, a api.AccountID) {
		ctx := t.Context()
		if !w.accountNow(a).Admin {
			t.Error("the server says that she looks after it")
		}
		p, err := w.Queue(ctx, api.QueueQuery{Account: a, Text: "far", State: api.QueueWaiting, After: 2, Limit: 10_000})
		if err != nil || p.Revision != 1 || p.Matching != 7 || p.Waiting != 5 || len(p.Rows) != 1 || p.Rows[0].Recipient != "x@far.example" || p.Rows[0].NextTry.Sub(p.Now) != time.Hour {
			t.Errorf("%+v %v", p, err)
		}
		if f := s.asked[0]; f.Text != "far" || f.State != "waiting" || f.After != 2 || f.Limit != api.MaxQueueLimit {
			t.Errorf("asked for %+v", f)
		}
		i, err := w.QueueItem(ctx, api.QueueRef{Account: a, ID: 3})
		if err != nil || i.Means != "The mailbox is full." || i.Header != "Subject: x\n" {
			t.Errorf("%+v %v", i, err)
		}
		want := []api.WireLine{{Seq: 1, Who: api.Remark, Text: "Connecting"}, {Seq: 2, Who: api.ClientSays, Text: "EHLO a b"}, {Seq: 3, Who: api.Remark, Text: "odd"}, {Seq: 4, Who: api.Remark, Text: "(and more)"}}
		for n := range want {
			if got := i.Transcript[n]; got.Seq != want[n].Seq || got.Who != want[n].Who || got.Text != want[n].Text {
				t.Errorf("line %+v, want %+v", got, want[n])
			}
		}
		if at := i.Transcript[1].At; at.Hour() != 10 || at.Second() != 1 {
			t.Errorf("said at %v", at)
		}
		if _, err := w.QueueItem(ctx, api.QueueRef{Account: a, ID: 4}); code(err) != api.CodeNoSuchMessage {
			t.Errorf("what has left the queue: %v", err)
		}
		if n, err := w.ChangeQueue(ctx, api.QueueChange{Account: a, Action: api.QueueHold, IDs: []int64{3, 4}, Text: "not this"}); n != 2 || err != nil {
			t.Errorf("%d %v", n, err)
		}
		if f := s.asked[1]; !slices.Equal(f.IDs, []int64{3, 4}) || f.Text != "" || s.did[0] != control.Hold {
			t.Errorf("%v of %+v", s.did, f)
		}
		if _, err := w.ChangeQueue(ctx, api.QueueChange{Account: a, Action: api.QueueDrop, IDs: make([]int64, api.MaxQueueIDs+1)}); code(err) != api.CodeBadRequest {
			t.Errorf("too many at once: %v", err)
		}
		if _, err := w.Queue(ctx, api.QueueQuery{Account: "nobody"}); err == nil {
			t.Error("an account that there is not")
		}
		if n := w.gateway.streams(wire.Control); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// Who waits for a change does not keep others from asking; who goes away ends his waiting.
func TestDeskWatches(t *testing.T) {
	atDesk(t, func(t *testing.T, w *world, s *deskServer, a api.AccountID) {
		changed := make(chan uint64, 1)
		go func() {
			n, err := w.WatchQueue(t.Context(), api.QueueWatch{Account: a, Revision: 1})
			if err != nil {
				t.Error(err)
			}
			changed <- n
		}()
		synctest.Wait()
		if _, err := w.Queue(t.Context(), api.QueueQuery{Account: a}); err != nil {
			t.Error(err)
		}
		select {
		case <-changed:
			t.Error("a change that there was not")
		default:
		}
		s.change()
		if n := <-changed; n != 2 {
			t.Errorf("revision %d", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := w.WatchQueue(ctx, api.QueueWatch{Account: a, Revision: 2}); code(err) != api.CodeCanceled {
			t.Errorf("%v", err)
		}
	})
}

// Connections that nobody uses end, and are made again when somebody asks; so are those that the other side has ended.
func TestDeskConnections(t *testing.T) {
	atDesk(t, func(t *testing.T, w *world, s *deskServer, a api.AccountID) {
		ask := func() {
			t.Helper()
			if _, err := w.Queue(t.Context(), api.QueueQuery{Account: a}); err != nil {
				t.Error(err)
			}
		}
		open := func() int {
			w.gateway.mu.Lock()
			defer w.gateway.mu.Unlock()
			return len(w.gateway.live)
		}
		synctest.Wait()
		before := open()
		ask()
		time.Sleep(deskIdle - time.Second)
		ask()
		time.Sleep(deskIdle - time.Second)
		if n := open(); n != before+1 {
			t.Errorf("%d connections while it is used", n-before)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := open(); n != before {
			t.Errorf("%d connections when nobody has used it for a while", n-before)
		}
		ask()
		w.gateway.set(tunnel.Offline)
		if _, err := w.Queue(t.Context(), api.QueueQuery{Account: a}); code(err) != api.CodeGatewayOffline {
			t.Errorf("without the gateway: %v", err)
		}
		w.gateway.set(tunnel.Online)
		ask()
		if n := w.gateway.streams(wire.Control); n != 3 {
			t.Errorf("%d connections were made", n)
		}
		s.fail = errors.New("disk on fire")
		if _, err := w.Queue(t.Context(), api.QueueQuery{Account: a}); code(err) != api.CodeServerRefused || api.AsProblem(err).Detail != "disk on fire" {
			t.Errorf("%v", err)
		}
	})
}

func TestDeskOfAnother(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) { // the gateway's server has none
		a := w.signIn(alice).ID
		if w.accountNow(a).Admin {
			t.Error("nobody said so")
		}
		if _, err := w.Queue(t.Context(), api.QueueQuery{Account: a}); code(err) != api.CodeNotAdministrator {
			t.Errorf("%v", err)
		}
	})
	atDesk(t, func(t *testing.T, w *world, s *deskServer, _ api.AccountID) {
		b := w.signIn(bob).ID
		_, err := w.Queue(t.Context(), api.QueueQuery{Account: b})
		if p := api.AsProblem(err); p.Code != api.CodeNotAdministrator || p.Detail != bob {
			t.Errorf("%v", err)
		}
		if s := w.accountNow(b).Sync; s.State == api.SyncError {
			t.Errorf("his mail is not fetched for it: %+v", s)
		}
	})
}

func TestWorld(t *testing.T) {
	atDesk(t, func(t *testing.T, w *world, s *deskServer, a api.AccountID) {
		got, err := w.World(t.Context(), api.WorldChange{Account: a, Fault: &api.WorldFault{Domain: "*", Kind: api.FaultDown, For: time.Minute}})
		if err != nil || got.Rate != 60 || got.Servers[0].Waiting != 4 || got.Faults[0].Kind != api.FaultDown || s.faults[0] != (control.Fault{Domain: "*", Kind: control.FaultDown, For: time.Minute}) {
			t.Errorf("%+v %v", got, err)
		}
		if _, err := w.World(t.Context(), api.WorldChange{Account: a, Rate: 60, Jump: time.Hour}); err != nil || s.clocks[0] != (control.ClockChange{Rate: 60, Jump: time.Hour}) {
			t.Errorf("%+v %v", s.clocks, err)
		}
		if got, err := w.World(t.Context(), api.WorldChange{Account: a}); err != nil || len(got.Faults) != 0 || len(s.clocks)+len(s.faults) != 2 {
			t.Errorf("only looking: %+v %v", got, err)
		}
		s.real = true
		w.gateway.set(tunnel.Offline)
		w.gateway.set(tunnel.Online)
		if got, err := w.World(t.Context(), api.WorldChange{Account: a}); err != nil || len(got.Servers) != 0 {
			t.Errorf("the real world: %+v %v", got, err)
		}
	})
}
