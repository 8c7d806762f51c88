package api

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// Every method of Service that a page calls arrives at the engine under its own name.
func TestEveryMethodCrosses(t *testing.T) {
	c, _ := join(t, &fakeEngine{}, nil) // whose methods all panic, which is told with the method's name
	service := reflect.TypeFor[Service]()
	for i := range service.NumMethod() {
		m := service.Method(i)
		method := reflect.ValueOf(c).MethodByName(m.Name)
		in := []reflect.Value{reflect.ValueOf(t.Context())}
		for j := 1; j < m.Type.NumIn(); j++ {
			in = append(in, reflect.Zero(m.Type.In(j)))
		}
		out := method.Call(in)
		err, _ := out[len(out)-1].Interface().(error)
		var p *Problem
		if !errors.As(err, &p) || p.Code != CodeInternal || !strings.HasPrefix(p.Technical, m.Name+": panic: ") {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
}

// filesEngine answers what has a blob.
type filesEngine struct{ fakeEngine }

func (*filesEngine) PutChunk(_ context.Context, r PutChunk, data []byte) (Wanted, error) {
	return Wanted{Offset: r.Offset + int64(len(data)), Length: int(r.ID)}, nil
}

func (*filesEngine) ReadDownload(_ context.Context, r ReadDownload) ([]byte, error) {
	return bytes.Repeat([]byte{byte(r.ID)}, int(r.Offset)), nil
}

func TestPiecesOfFilesCrossBeside(t *testing.T) {
	page, worker := Pipe()
	engine := &filesEngine{}
	served := make(chan struct{})
	go func() { defer close(served); _ = Serve(context.Background(), worker, engine, engine) }()
	c := NewClient(page, nil)
	ran := make(chan struct{})
	go func() { defer close(ran); _ = c.Run(context.Background()) }()
	defer func() { c.Close(); <-served; <-ran }()
	if w, err := c.PutChunk(t.Context(), PutChunk{ID: 7, Offset: 3}, []byte("\x00\xff\x80")); err != nil || w != (Wanted{Offset: 6, Length: 7}) {
		t.Errorf("%+v, %v", w, err)
	}
	if p, err := c.ReadDownload(t.Context(), ReadDownload{ID: 9, Offset: 2}); err != nil || string(p) != "\x09\x09" {
		t.Errorf("%q, %v", p, err)
	}
}

// Of what a slow page has not read yet of a site, a transfer or a folder, the last remains.
func TestStaleEventsOfFilesGiveWay(t *testing.T) {
	o := newOutgoing()
	for _, e := range []Event{
		{Site: &Site{ID: "ftp:a"}}, {Site: &Site{ID: "ftp:b"}}, {Site: &Site{ID: "ftp:a", Label: "later"}}, {SiteGone: "ftp:b"},
		{Transfer: &Transfer{ID: 1, Done: 1}}, {Transfer: &Transfer{ID: 2}}, {Transfer: &Transfer{ID: 1, Done: 2}}, {TransferGone: 2},
		{Files: &FilesChanged{Site: "ftp:a", Path: "/x", Revision: 1}}, {Files: &FilesChanged{Site: "ftp:a", Path: "/y"}}, {Files: &FilesChanged{Site: "ftp:a", Path: "/x", Revision: 2}},
	} {
		if !o.event(e) {
			t.Fatal("full")
		}
	}
	if len(o.queue) != 6 {
		t.Fatalf("%d wait", len(o.queue))
	}
	if q := o.queue; q[0].event.Site.Label != "later" || q[1].event.SiteGone != "ftp:b" || q[2].event.Transfer.Done != 2 || q[3].event.TransferGone != 2 || q[4].event.Files.Path != "/y" || q[5].event.Files.Revision != 2 {
		t.Errorf("%+v", q)
	}
}
