package view_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/engine"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/client/view"
	"github.com/postern-mail/postern/client/view/viewtest"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// fileGateway is a gateway that reaches an FTP server in memory besides.
type fileGateway struct {
	*gateway
	files *mailtest.FTP

	mu   sync.Mutex
	live []net.Conn
}

// Open implements engine.Gateway.
func (g *fileGateway) Open(ctx context.Context, o wire.Open) (net.Conn, error) {
	if o.Service != wire.FTP {
		return g.gateway.Open(ctx, o)
	}
	if g.State().Phase != tunnel.Online {
		return nil, tunnel.ErrOffline
	}
	near, far := mailtest.Pipe(nil)
	go func() {
		g.files.ServeConn(far)
		far.Close()
	}()
	g.keep(near)
	return &fileControl{near, g}, nil
}

func (g *fileGateway) keep(c net.Conn) { g.mu.Lock(); g.live = append(g.live, c); g.mu.Unlock() }

// cut takes the tunnel away, with all that goes through it.
func (g *fileGateway) cut() {
	g.mu.Lock()
	for _, c := range g.live {
		c.Close()
	}
	g.live = nil
	g.mu.Unlock()
	g.set(tunnel.Offline)
}

type fileControl struct {
	net.Conn
	g *fileGateway
}

// OpenData opens a data connection beside the control connection.
func (c *fileControl) OpenData(ctx context.Context, port int) (net.Conn, error) {
	conn, err := c.g.files.Dial(ctx, port)
	if err == nil {
		c.g.keep(conn)
	}
	return conn, err
}

// The page over the real engine with an FTP server: a server is added, a file goes up through a cut, is renamed, attached,
// fetched and deleted, and what was said is shown.
func TestFilesOverTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drop := new(mailtest.Maildrop)
		pop := &mailtest.POP3{Password: map[string]string{alice: "secret"}, Maildrop: map[string]*mailtest.Maildrop{alice: drop}, NoWait: true}
		post := mailtest.NewSMTP()
		post.Password, post.Users = map[string]string{alice: "secret"}, []string{"bob@postern.test"}
		server := mailtest.NewFTP()
		server.Files.Put("/pub/notes.txt", []byte("these are notes"))
		g := &fileGateway{gateway: newGateway(t, map[wire.ServiceName]mailtest.Server{wire.POP3S: pop, wire.Submissions: post}), files: server}
		eng, err := engine.New(engine.Config{FS: store.NewMemFS(), Gateway: g, Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { eng.Run(ctx) })
		p := &page{Page: viewtest.NewPage(t, nil, "/")}
		here, there := api.Pipe()
		client := api.NewClient(here, p.Receive)
		running.Go(func() { client.Run(ctx) })
		running.Go(func() { api.Serve(ctx, there, eng, eng) })
		p.Do(func() { p.Attach(client) })
		p.Start(ctx)
		p.pass(time.Second)
		p.act(func() { p.Session.Demo(p.Gateway.Demo[0]) })
		p.pass(10 * time.Second)

		p.act(p.AddServer)
		set := func(id, v string) {
			for _, s := range p.SiteForm.Sections() {
				for _, f := range s.Fields {
					if f.ID == id {
						p.act(func() { f.Set(v) })
					}
				}
			}
		}
		set("site-host", "ftp.example.org")
		set("site-security", string(api.Plain))
		set("site-user", "bob")
		set("site-password", "wrong")
		p.act(p.SiteForm.Save)
		p.pass(10 * time.Second)
		equal(t, "wrong password", view.FileWords(p.SiteForm.Problem).Title, "The password was not accepted")
		set("site-password", "bob-pw")
		p.act(p.SiteForm.Save)
		p.pass(10 * time.Second)
		if p.Files.Problem != nil || len(p.Sites) != 1 {
			t.Fatalf("%v, %v, %v", p.SiteForm.Problem, p.Files.Problem, p.Sites)
		}
		site := p.Sites[0].ID
		equal(t, "said in red", view.SiteSeal(p.Sites[0]).Bad, true)
		equal(t, "its files", names(&p.Files.Folder), "pub")
		p.act(func() { p.Files.OpenFile(0) })
		p.pass(time.Second)
		equal(t, "a folder", names(&p.Files.Folder), "notes.txt")

		text := strings.Repeat("a long letter ", 300_000) // more than a piece
		file := viewtest.File("letter.txt", text)
		once := sync.Once{}
		file.Reading = func(offset int64) {
			if offset > 2<<20 {
				once.Do(g.cut)
			}
		}
		p.act(func() { p.Upload(site, p.Files.Path, []view.LocalFile{file}) })
		p.pass(time.Second)
		x := p.Transfers.Shown()[0]
		equal(t, "waits", p.Transfers.WordsOf(x).Icon, "clock")
		equal(t, "the page is needed", p.Transfers.NeedsPage(), true)
		g.set(tunnel.Online)
		p.pass(5 * time.Minute)
		x, _ = p.Transfers.Of(x.ID)
		equal(t, "done", x.State, api.TransferDone)
		got, _ := server.Files.Get("/pub/letter.txt")
		equal(t, "octet for octet", string(got) == text, true)
		equal(t, "in the list", names(&p.Files.Folder), "letter.txt,notes.txt")

		p.act(func() { p.Upload(site, p.Files.Path, viewtest.Files("notes.txt")) })
		p.pass(time.Second)
		name, _ := p.Transfers.Clash()
		equal(t, "there is one of that name", name, "notes.txt")
		p.act(func() { p.Transfers.Settle(api.ExistsBoth, false) })
		p.pass(time.Minute)
		equal(t, "both", names(&p.Files.Folder), "letter.txt,notes (2).txt,notes.txt")

		p.act(func() { p.Files.MoveTo(1); p.Files.Rename(); p.Files.SetName("other.txt"); p.Files.CommitEdit() })
		p.pass(time.Second)
		equal(t, "renamed", names(&p.Files.Folder), "letter.txt,notes.txt,other.txt")
		equal(t, "and under the cursor", cursorOf(p), "other.txt")

		p.act(func() { p.Files.Delete() })
		p.pass(time.Second)
		equal(t, "gone", names(&p.Files.Folder), "letter.txt,notes.txt")
		p.act(p.UndoLast)
		p.pass(time.Second)
		equal(t, "back", names(&p.Files.Folder), "letter.txt,notes.txt,other.txt")
		p.act(func() { p.Files.Pick(2); p.Files.Delete() })
		p.pass(time.Minute)
		if _, there := server.Files.Get("/pub/other.txt"); there {
			t.Error("what was deleted is still there")
		}

		p.Browser.NoDevice = true
		p.act(func() { p.Files.OpenFile(0) })
		p.pass(time.Minute)
		equal(t, "saved", len(p.Browser.Saved), 1)
		equal(t, "octet for octet again", string(p.Browser.Saved[0].Data) == text, true)

		p.act(func() { p.Files.Pick(1); p.AttachToNew(site, p.Files.Targets()) })
		p.pass(time.Minute)
		equal(t, "attached", p.Composer.Attachments[0].Uploading, false)
		p.act(func() { p.Composer.SetTo("bob@postern.test"); p.Composer.SetSubject("Notes"); p.Composer.Send() })
		p.pass(time.Minute)
		if n := len(post.Received()); n != 1 || !strings.Contains(string(post.Received()[0].Content), "notes.txt") {
			t.Errorf("%d messages arrived, or without the file", n)
		}

		p.act(func() { p.OpenSiteWire(site, 0) })
		p.pass(time.Second)
		control, data := 0, 0
		for _, l := range p.Wire.Lines {
			if l.Data == 0 {
				control++
			} else {
				data++
			}
		}
		if control == 0 || data == 0 {
			t.Errorf("%d lines of control, %d of data connections", control, data)
		}
		p.act(p.LeaveWire)
		p.act(func() { p.RemoveSite(site, ""); p.Question.Agree() })
		p.pass(time.Second)
		equal(t, "removed", len(p.Sites), 0)
		equal(t, "with its transfers", len(p.Transfers.Shown()), 0)
		cancel()
		running.Wait()
		p.pass(time.Minute)
	})
}
