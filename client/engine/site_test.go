package engine

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/trust"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

func TestASiteIsKept(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		s := w.siteNow()
		want := api.Server{Host: "ftp.example.org", Port: 21, Security: api.Plain, User: "bob"}
		if s.Server != want || s.Home != "/" || !s.HasPassword || !s.Kept || s.Sealed || s.Problem != nil || !isSite(s.ID) {
			t.Errorf("%+v", s)
		}
		w.ftp.Files.Put("/a", nil)
		w.restart()
		if again := w.siteNow(); again.Server != want || !again.HasPassword || again.Home != "/" {
			t.Errorf("%+v", again)
		}
		if p := w.list(""); len(p.Files) != 1 || p.Path != "/" {
			t.Errorf("%+v", p)
		}
		w.addSite(api.AddSite{Site: s.ID, Label: "Bob's", Server: s.Server}) // not kept any more
		if again := w.siteNow(); again.Label != "Bob's" || again.Kept || !again.HasPassword || len(w.vault.secrets) != 0 {
			t.Errorf("%+v, %d secrets", again, len(w.vault.secrets))
		}
		w.addSite(api.AddSite{Server: s.Server, Password: bobFTP, Keep: true}) // the same once more
		if w.site.ID != s.ID || len(w.vault.secrets) != 1 {
			t.Errorf("%+v, %d secrets", w.site, len(w.vault.secrets))
		}
		if err := w.RemoveSite(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
		status, _ := w.Status(t.Context())
		names, _ := w.fs.List()
		if len(status.Sites) != 0 || len(w.vault.secrets) != 0 || slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, sitePrefix) }) {
			t.Errorf("%+v, %d secrets, %v", status.Sites, len(w.vault.secrets), names)
		}
		if events := w.seen.all(); events[len(events)-1].SiteGone != s.ID {
			t.Errorf("last event %+v", events[len(events)-1])
		}
	})
}

func TestASiteThatIsRefused(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		server := w.site.Server
		for _, c := range []struct {
			name string
			r    api.AddSite
			want api.Code
		}{
			{"wrong password", api.AddSite{Server: server, Password: "wrong"}, api.CodeWrongPassword},
			{"no password", api.AddSite{Server: api.Server{Host: "ftp.example.org", User: "carol", Security: api.Plain}}, api.CodeWrongPassword},
			{"no such host", api.AddSite{Server: api.Server{Host: "nowhere.example.org", User: "bob"}, Password: bobFTP}, api.CodeServerUnreachable},
			{"no TLS", api.AddSite{Server: api.Server{Host: "ftp.example.org", User: "bob"}, Password: bobFTP}, api.CodeNoTLS},
			{"no host", api.AddSite{Server: api.Server{Host: "a b", User: "bob"}, Password: bobFTP}, api.CodeBadRequest},
			{"the gateway's own, of a stranger", api.AddSite{Server: api.Server{User: "bob@example.org"}, Password: "x"}, api.CodeSettingsNeeded},
			{"no such site", api.AddSite{Site: "ftp:x", Server: server, Password: bobFTP}, api.CodeBadRequest},
		} {
			if _, err := w.AddSite(t.Context(), c.r); code(err) != c.want {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
			}
		}
		if s, _ := w.Status(t.Context()); len(s.Sites) != 1 || s.Sites[0].Kept != true {
			t.Errorf("%+v", s.Sites)
		}
		w.ftp.Password["bob"] = "another"
		w.list("") // the session of before
		time.Sleep(sessionIdle + time.Second)
		for range 2 {
			if _, err := w.ListFiles(t.Context(), api.FilesQuery{Site: w.site.ID, Fresh: true}); code(err) != api.CodeWrongPassword {
				t.Errorf("%v", err)
			}
		}
		if n := w.gateway.streams(wire.FTP); problemCode(w.siteNow().Problem) != api.CodeWrongPassword || n != 5 {
			t.Errorf("%+v after %d streams", w.siteNow(), n) // the second was not asked: servers lock users out that guess
		}
		w.addSite(api.AddSite{Site: w.site.ID, Server: server, Password: "another"})
		if w.list(""); w.siteNow().Problem != nil {
			t.Errorf("%+v", w.siteNow().Problem)
		}
	})
}

// The password and what is in the files never cross in plain text where TLS is asked for.
func TestSitesUnderTLS(t *testing.T) {
	for _, implicit := range []bool{false, true} {
		t.Run(fmt.Sprint(implicit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &filesWorld{world: newWorld(t), ftp: mailtest.NewFTP()}
				cert := mailtest.SelfSigned(t, "ftp.example.org")
				w.ftp.TLS, w.ftp.Reuse, w.ftp.Implicit = &tls.Config{Certificates: []tls.Certificate{cert}}, true, implicit
				server := api.Server{Host: "ftp.example.org", User: "bob", Security: api.STARTTLS}
				address := "ftp.example.org:21"
				if implicit {
					server.Security, address = api.TLS, "ftp.example.org:990"
				}
				w.gateway.serveAt(address, w.ftp, nil)
				w.start()
				defer w.halt()
				_, err := w.AddSite(t.Context(), api.AddSite{Server: server, Password: bobFTP})
				p := api.AsProblem(err)
				if code(err) != api.CodeCertificate || p.Certificate == nil || p.Certificate.Protocol != api.FTP || p.Certificate.Fingerprint != trust.Fingerprint(cert.Certificate[0]) {
					t.Fatalf("%+v", p)
				}
				server.Pin = p.Certificate.Fingerprint
				w.addSite(api.AddSite{Server: server, Password: bobFTP})
				if !w.site.Sealed {
					t.Error("it is not sealed")
				}
				data := noise(1<<20, 1)
				w.ftp.Files.Put("/a", data)
				d := w.until(w.download("/a").ID, api.TransferDone)
				if string(w.read(d.ID)) != string(data) {
					t.Error("another file")
				}
				if err := w.Trust(t.Context(), api.Trust{Account: w.site.ID, Protocol: api.FTP, Fingerprint: strings.Repeat("ab", 32)}); err != nil {
					t.Fatal(err)
				}
				d = w.download("/a")
				synctest.Wait()
				if d := w.transfer(d.ID); d.State != api.TransferWaiting || problemCode(d.Problem) != api.CodeCertificate {
					t.Errorf("%+v, %v", d, d.Problem)
				}
				if err := w.Trust(t.Context(), api.Trust{Account: w.site.ID, Protocol: api.FTP, Fingerprint: server.Pin}); err != nil {
					t.Fatal(err)
				}
				w.until(d.ID, api.TransferDone)
			})
		})
	}
}

func TestListing(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		w.ftp.Files.Put("/pub/b", []byte("12"))
		w.ftp.Files.Put("/pub/A", []byte("1"))
		w.ftp.Files.Put("/pub/c", []byte("123"))
		w.ftp.Files.Put("/pub/z/inner", nil)
		w.ftp.Files.Put("/pub/\xff%", nil)
		p := w.list("/pub")
		if got := strings.Join(namesOf(p), " "); got != "z A b c \uFFFD%" || p.Total != 5 || p.Cut || p.Problem != nil || len(p.Crumbs) != 2 || p.Crumbs[1].Name != "pub" {
			t.Errorf("%s, %+v", got, p)
		}
		if f := p.Files[4]; f.Path != "/pub/%FF%25" || !f.Usable || f.Kind != api.KindFile {
			t.Errorf("%+v", f)
		}
		if f := p.Files[2]; f.Size != 2 || !f.Exact || f.Modified.Year() != 2024 || f.Path != "/pub/b" {
			t.Errorf("%+v", f)
		}
		asked := len(w.ftp.Dialed())
		for _, c := range []struct {
			q    api.FilesQuery
			want string
		}{
			{api.FilesQuery{Sort: api.SortSize, Descending: true, Limit: 2}, "z c"},
			{api.FilesQuery{Sort: api.SortSize, Limit: 3}, "z \uFFFD% A"},
			{api.FilesQuery{Descending: true}, "z \uFFFD% c b A"},
			{api.FilesQuery{Offset: 3}, "c \uFFFD%"},
			{api.FilesQuery{Offset: 9}, ""},
			{api.FilesQuery{Filter: " a"}, "A"},
		} {
			c.q.Site, c.q.Path = w.site.ID, "/pub/"
			p, err := w.ListFiles(t.Context(), c.q)
			if got := strings.Join(namesOf(p), " "); err != nil || got != c.want {
				t.Errorf("%+v: %s, %v", c.q, got, err)
			}
		}
		if n := len(w.ftp.Dialed()); n != asked {
			t.Errorf("windows of one listing cost %d listings", n-asked)
		}
		w.ftp.Files.Put("/pub/new", nil)
		if len(w.list("/pub").Files) != 5 {
			t.Error("the server was asked again at once")
		}
		if p, err := w.ListFiles(t.Context(), api.FilesQuery{Site: w.site.ID, Path: "/pub", Fresh: true}); err != nil || len(p.Files) != 6 {
			t.Errorf("%+v, %v", p, err)
		}
		w.ftp.Files.Put("/pub/newer", nil)
		time.Sleep(listedFor + time.Second)
		if len(w.list("/pub").Files) != 7 {
			t.Error("the server was not asked again after a while")
		}
		for path, want := range map[api.FilePath]api.Code{"/nowhere": api.CodeNoSuchFile, "/a%": api.CodeBadRequest, "/a%0Ab": api.CodeBadName} {
			if _, err := w.ListFiles(t.Context(), api.FilesQuery{Site: w.site.ID, Path: path}); code(err) != want {
				t.Errorf("%s: %v", path, err)
			}
		}
	})
}

// A server that is hostile or broken: nothing of it leads elsewhere, or takes more memory than it may.
func TestListingOfAHostileServer(t *testing.T) {
	server := mailtest.NewFTP()
	lines := 0
	server.Listing = func(out io.Writer, _ bool) {
		for i := range lines {
			fmt.Fprintf(out, "type=file;size=1; f%07d\r\n", i)
		}
		io.WriteString(out, "type=file; ../../etc/passwd\r\ntype=file; a\x1b[2J\rb\r\ntype=dir; ..\r\nnonsense\r\ntype=file; -rf\r\n")
	}
	inFilesOf(t, server, func(t *testing.T, w *filesWorld) {
		p := w.list("/")
		for _, f := range p.Files {
			if f.Usable != (f.Name == "-rf") || f.Usable != (f.Path != "") || strings.ContainsAny(f.Name, "\x1b\r") {
				t.Errorf("%+v", f)
			}
		}
		if len(p.Files) != 4 {
			t.Errorf("%+v", p.Files)
		}
		lines = 250_000
		p, err := w.ListFiles(t.Context(), api.FilesQuery{Site: w.site.ID, Path: "/many", Limit: 1})
		if code(err) != api.CodeNoSuchFile {
			t.Errorf("%v", err)
		}
		if p, err = w.ListFiles(t.Context(), api.FilesQuery{Site: w.site.ID, Path: "/", Fresh: true, Limit: 1}); err != nil || !p.Cut || p.Total != api.MaxFolder {
			t.Errorf("%d, cut %v, %v", p.Total, p.Cut, err)
		}
		lines = 3
		if p := w.list("/"); p.Total != api.MaxFolder {
			t.Errorf("%d", p.Total)
		}
	})
}

// Data connections that do not come: what the person reads says why.
func TestDataThatDoesNotCome(t *testing.T) {
	for name, c := range map[string]struct {
		server func(f *mailtest.FTP)
		want   api.Code
		detail string
	}{
		"a firewall":    {func(f *mailtest.FTP) { f.Unreachable = true }, api.CodeNoData, "ftp.example.org"},
		"another host":  {func(f *mailtest.FTP) { f.Unreachable, f.NoEPSV, f.Host = true, true, "10,0,0,1" }, api.CodeDataElsewhere, "10.0.0.1"},
		"refused":       {func(f *mailtest.FTP) { fault(f, "MLSD", "425 no data connection\r\n") }, api.CodeNoData, "ftp.example.org"},
		"busy":          {func(f *mailtest.FTP) { fault(f, "MLSD", "450 later\r\n") }, api.CodeServerBusy, "later"},
		"wants TLS":     {func(f *mailtest.FTP) { fault(f, "USER", "530 cleartext sessions are not accepted here, use TLS\r\n") }, api.CodeServerWantsTLS, "ftp.example.org"},
		"many sessions": {func(f *mailtest.FTP) { fault(f, "PASS", "530 too many connections\r\n") }, api.CodeServerBusy, "too many connections"},
		"reuse":         {func(f *mailtest.FTP) { fault(f, "DONE", "522 SSL connection failed: session reuse required\r\n") }, api.CodeTLSReuse, "ftp.example.org"},
	} {
		t.Run(name, func(t *testing.T) {
			server := mailtest.NewFTP()
			inFilesOf(t, server, func(t *testing.T, w *filesWorld) {
				w.restart() // no session of before
				c.server(server)
				_, err := w.ListFiles(t.Context(), api.FilesQuery{Site: w.site.ID})
				if p := api.AsProblem(err); err == nil || p.Code != c.want || p.Detail != c.detail || p.Session == 0 {
					t.Errorf("%+v", p)
				}
			})
		})
	}
}

// fault has a server say something else.
func fault(f *mailtest.FTP, stage, reply string) {
	f.Fault = func(at string, _ int) *mailtest.FTPFault {
		if at == stage {
			return &mailtest.FTPFault{Reply: reply}
		}
		return nil
	}
}

// The transcript has control and data connections of one session, and no password.
func TestTranscriptOfASite(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		w.ftp.Files.Put("/a", noise(100, 1))
		w.list("/")
		d := w.until(w.download("/a").ID, api.TransferDone)
		if _, err := w.RenameFile(t.Context(), api.RenameFile{Site: w.site.ID, Path: "/a", Name: "b"}); err != nil {
			t.Fatal(err)
		}
		p, err := w.Wire(t.Context(), api.WireQuery{Account: w.site.ID})
		if err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		data := map[int]bool{}
		for _, l := range p.Lines {
			fmt.Fprintf(&said, "%s %s\n", l.State, l.Text)
			data[l.Data] = true
		}
		for _, want := range []string{"OPENING PASS ****\n", "TRANSFERRING in / MLSD / ", "TRANSFERRING in / RETR /a ", "... 100 octets\n", "RENAMING in / from /a RNTO /b\n"} {
			if !strings.Contains(said.String(), want) {
				t.Errorf("nothing like %q in\n%s", want, said.String())
			}
		}
		if strings.Contains(said.String(), bobFTP) || len(p.Sessions) != 1 || p.Sessions[0].Protocol != api.FTP || p.Sessions[0].Server != "ftp.example.org:21" || d.Session != p.Sessions[0].ID || !data[0] || !data[1] || !data[2] {
			t.Errorf("%+v, %v\n%s", p.Sessions, data, said.String())
		}
		w.fault(func(at string, _ int) *mailtest.FTPFault {
			if at == "MLSD" {
				return &mailtest.FTPFault{Reply: "421 going away\r\n", Cut: true}
			}
			return nil
		})
		if _, err := w.ListFiles(t.Context(), api.FilesQuery{Site: w.site.ID, Fresh: true}); code(err) != api.CodeServerBusy {
			t.Errorf("%v", err)
		}
		w.fault(nil)
		w.restart()
		if p, err = w.Wire(t.Context(), api.WireQuery{Account: w.site.ID}); err != nil || len(p.Sessions) != 1 || problemCode(p.Sessions[0].Problem) != api.CodeServerBusy {
			t.Errorf("after a restart: %+v, %v", p.Sessions, err)
		}
	})
}

// Sessions are kept for half a minute, and no longer.
func TestSessionsAreKeptAWhile(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		for range 5 {
			w.list("/")
			time.Sleep(20 * time.Second)
			if _, err := w.ListFiles(t.Context(), api.FilesQuery{Site: w.site.ID, Fresh: true}); err != nil {
				t.Fatal(err)
			}
		}
		if n := w.gateway.streams(wire.FTP); n != 1 {
			t.Errorf("%d sessions", n)
		}
		time.Sleep(sessionIdle + time.Second)
		p, _ := w.Wire(t.Context(), api.WireQuery{Account: w.site.ID})
		if s := p.Sessions[0]; s.Ended.IsZero() || s.Problem != nil {
			t.Errorf("%+v", s)
		}
		w.list("/")
		w.gateway.setTo(tunnel.Offline, errors.New("gone"))
		if _, err := w.ListFiles(t.Context(), api.FilesQuery{Site: w.site.ID, Fresh: true}); code(err) != api.CodeGatewayOffline {
			t.Errorf("%v", err)
		}
		w.gateway.set(tunnel.Online)
		w.list("/")
	})
}

// The gateway's own server: by one click beside the mail account, with its password.
func TestTheGatewaysOwnFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &filesWorld{world: newWorld(t), ftp: mailtest.NewFTP()}
		w.ftp.Password = w.pop.Password
		w.ftp.TLS, w.ftp.Reuse = w.gateway.tls, true
		w.gateway.servers[wire.FTP] = w.ftp
		w.start()
		defer func() { w.halt() }()
		a := w.signIn(alice)
		if a.Files {
			t.Error("files are offered that there are not")
		}
		w.gateway.set(tunnel.Connecting)
		w.gateway.welcome.Capabilities = []string{wire.CapFTPData}
		w.gateway.welcome.Embedded.Services = append(w.gateway.welcome.Embedded.Services, wire.Service{Name: wire.FTP, Port: 2121})
		w.gateway.set(tunnel.Online)
		synctest.Wait()
		if !w.accountNow(a.ID).Files {
			t.Error("files are not offered")
		}
		w.addSite(api.AddSite{Account: a.ID, Keep: true})
		if s := w.site; s.Server != (api.Server{User: alice}) || !s.Sealed || !s.HasPassword || s.Kept || w.accountNow(a.ID).Files {
			t.Errorf("%+v, still offered: %v", s, w.accountNow(a.ID).Files)
		}
		w.ftp.Files.Put("/a", nil)
		w.restart()
		if p := w.list("/"); len(p.Files) != 1 {
			t.Errorf("%+v", p)
		}
		// A page that has asked is told when the offer goes, and when it comes back.
		for _, change := range []struct {
			do     func() error
			offers bool
		}{
			{func() error { return w.RemoveSite(t.Context(), w.site.ID) }, true},
			{func() error { w.addSite(api.AddSite{Account: a.ID}); return nil }, false},
		} {
			before := len(w.seen.all())
			if err := change.do(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			told := !change.offers
			for _, e := range w.seen.all()[before:] {
				if e.Account != nil && e.Account.ID == a.ID {
					told = e.Account.Files
				}
			}
			if told != change.offers {
				t.Errorf("the page believes that files are offered: %v", told)
			}
			if change.offers { // by the answer to signing in, in an engine that has told of nothing yet
				if err := w.SignOut(t.Context(), api.SignOut{Account: a.ID, Erase: true}); err != nil {
					t.Fatal(err)
				}
				if a = w.signIn(alice); !a.Files {
					t.Error("files are not offered")
				}
			}
		}
		if err := w.SignOut(t.Context(), api.SignOut{Account: a.ID}); err != nil {
			t.Fatal(err)
		}
		w.restart()
		if _, err := w.ListFiles(t.Context(), api.FilesQuery{Site: w.site.ID}); code(err) != api.CodePasswordNeeded || w.siteNow().HasPassword {
			t.Errorf("%v", err)
		}
		w.addSite(api.AddSite{Site: w.site.ID, Server: w.site.Server, Password: alicePW})
		w.list("/")
	})
}

// A site's password is under the passphrase as those of mail accounts are; what had to wait for it goes on.
func TestASiteUnderAPassphrase(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		data := noise(1000, 1)
		w.ftp.Files.Put("/a", data)
		if err := w.SetPassphrase(t.Context(), api.Passphrase{New: "correct horse"}); err != nil {
			t.Fatal(err)
		}
		w.restart()
		d := w.download("/a")
		time.Sleep(time.Minute)
		if x := w.transfer(d.ID); x.State != api.TransferWaiting || problemCode(x.Problem) != api.CodeLocked {
			t.Errorf("%+v, %v", x, x.Problem)
		}
		if _, err := w.ListFiles(t.Context(), api.FilesQuery{Site: w.site.ID}); code(err) != api.CodeLocked {
			t.Errorf("%v", err)
		}
		other := w.site.Server
		other.Port = 2121
		w.gateway.serveAt("ftp.example.org:2121", w.ftp, nil)
		added, err := w.AddSite(t.Context(), api.AddSite{Server: other, Password: bobFTP, Keep: true}) // kept once that can be
		if err != nil || added.Kept || added.ID == w.site.ID {
			t.Errorf("%+v, %v", added, err)
		}
		if err := w.Unlock(t.Context(), "correct horse"); err != nil {
			t.Fatal(err)
		}
		w.until(d.ID, api.TransferDone)
		w.restart()
		if err := w.Unlock(t.Context(), "correct horse"); err != nil {
			t.Fatal(err)
		}
		if s, _ := w.Status(t.Context()); len(s.Sites) != 2 || !s.Sites[0].Kept || !s.Sites[1].Kept {
			t.Errorf("%+v", s.Sites)
		}
		if p, err := w.ListFiles(t.Context(), api.FilesQuery{Site: added.ID}); err != nil || len(p.Files) != 1 {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

// A server that repeats the password has it neither in an answer, nor in the transcript, an event or a file.
func TestNoPasswordOfASiteIsRepeated(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		w.fault(func(stage string, _ int) *mailtest.FTPFault {
			if stage == "MLSD" || stage == "MLST" {
				return &mailtest.FTPFault{Reply: "550 no files for " + bobFTP + "\r\n"}
			}
			return nil
		})
		_, err := w.ListFiles(t.Context(), api.FilesQuery{Site: w.site.ID})
		d := w.until(w.download("/a").ID, api.TransferFailed)
		p, _ := w.Wire(t.Context(), api.WireQuery{Account: w.site.ID})
		all := fmt.Sprintf("%v %+v %+v %+v", err, d.Problem, p, w.siteNow())
		for _, e := range w.seen.all() {
			if e.Transfer != nil && e.Transfer.Problem != nil {
				all += fmt.Sprintf("%+v", *e.Transfer.Problem)
			}
		}
		if strings.Contains(all, bobFTP) || !strings.Contains(all, "****") {
			t.Errorf("%s", all)
		}
		var scan func(fs store.FS)
		scan = func(fs store.FS) {
			names, _ := fs.List()
			for _, name := range names {
				if sub, err := fs.Sub(name); err == nil {
					scan(sub)
					continue
				}
				f, err := fs.Open(name)
				if err != nil {
					t.Fatal(err)
				}
				n, _ := f.Size()
				b := make([]byte, n)
				_, _ = f.ReadAt(b, 0)
				f.Close()
				if strings.Contains(string(b), bobFTP) {
					t.Errorf("the password is in %s", name)
				}
			}
		}
		w.halt()
		scan(w.fs)
		w.start()
	})
}

// A site that is removed while somebody looks at it stays removed, whatever its server says after that.
func TestASiteThatIsRemovedMeanwhile(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		time.Sleep(time.Minute) // the session of before is over
		gate := make(chan struct{})
		w.fault(func(stage string, _ int) *mailtest.FTPFault {
			if stage != "PWD" {
				return nil
			}
			<-gate
			return &mailtest.FTPFault{Reply: "257 \"/elsewhere\"\r\n"}
		})
		looked := make(chan error, 1)
		go func() {
			_, err := w.ListFiles(t.Context(), api.FilesQuery{Site: w.site.ID, Path: "/", Fresh: true})
			looked <- err
		}()
		synctest.Wait()
		if err := w.RemoveSite(t.Context(), w.site.ID); err != nil {
			t.Fatal(err)
		}
		close(gate)
		<-looked
		w.restart()
		if s, err := w.Status(t.Context()); err != nil || len(s.Sites) != 0 {
			t.Errorf("%+v, %v", s.Sites, err)
		}
		names, err := w.fs.List()
		if err != nil || slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, sitePrefix) }) {
			t.Errorf("%v, %v", names, err)
		}
	})
}
