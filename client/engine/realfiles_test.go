//go:build unix

package engine

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
)

// The same with pure-ftpd and vsftpd, which has neither MLST nor a list of what it lists, and demands that TLS sessions are resumed.
func TestFilesOfRealServers(t *testing.T) {
	for name, c := range map[string]struct {
		start    func(t *testing.T) *testbed.FTP
		security api.Security
	}{
		"pure-ftpd":       {func(t *testing.T) *testbed.FTP { return testbed.StartPureFTPd(t) }, api.STARTTLS},
		"pure-ftpd plain": {func(t *testing.T) *testbed.FTP { return testbed.StartPureFTPd(t) }, api.Plain},
		"vsftpd":          {func(t *testing.T) *testbed.FTP { return testbed.StartVsftpd(t, false) }, api.STARTTLS},
		"vsftpd implicit": {func(t *testing.T) *testbed.FTP { return testbed.StartVsftpd(t, true) }, api.TLS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := c.start(t)
			rule, err := bridge.ParseRule(server.Address())
			if err != nil {
				t.Fatal(err)
			}
			host, port, _ := net.SplitHostPort(server.Address())
			at, _ := strconv.Atoi(port)
			g := throughBridge(t, bridge.Config{Server: "test", Policy: bridge.Policy{Allow: []bridge.Rule{rule}}}, server.ClientTLS().RootCAs)
			u := server.Users[0]
			site := g.addSite(api.Server{Host: host, Port: at, Security: c.security, User: u.Name}, u.Password)
			g.roundTrip(site.ID, noise(30<<20, 23))
			sent, err := os.Stat(filepath.Join(server.Folder(u.Name), "big.bin"))
			if err != nil || sent.ModTime().Unix() != localFile("", nil).Modified.Unix() {
				t.Errorf("the time of the file is not kept: %v, %v", sent.ModTime(), err)
			}
			g.tidyUp(site, func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(server.Folder(u.Name), name)) })
		})
	}
}

// tidyUp makes, renames, replaces and deletes. There is big.bin.
func (g *realGateway) tidyUp(site api.Site, read func(name string) ([]byte, error)) {
	t := g.t
	t.Helper()
	names := func() string {
		t.Helper()
		p, err := g.ListFiles(t.Context(), api.FilesQuery{Site: site.ID, Fresh: true})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(namesOf(p), " ")
	}
	folder, err := g.MakeFolder(t.Context(), api.MakeFolder{Site: site.ID, Name: "größe & co"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.MakeFolder(t.Context(), api.MakeFolder{Site: site.ID, Name: "größe & co"}); code(err) != api.CodeFileExists {
		t.Errorf("%v", err)
	}
	big, err := within(strings.TrimSuffix(string(site.Home), "/")+"/", "big.bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.RenameFile(t.Context(), api.RenameFile{Site: site.ID, Path: api.FilePath(big), Folder: folder.Path, Name: "50%\u2009big"}); err != nil {
		t.Fatal(err)
	}
	if got := names(); got != "größe & co" {
		t.Errorf("%s", got)
	}
	old, fresh := []byte("old"), noise(300_000, 24)
	if u := g.upload(site.ID, "a.txt", old, nil); u.State != api.TransferDone {
		t.Fatalf("%+v, %v", u, u.Problem)
	}
	if _, err := g.UploadFile(t.Context(), api.UploadFile{Site: site.ID, File: localFile("a.txt", fresh)}, nil); code(err) != api.CodeFileExists {
		t.Errorf("%v", err)
	}
	if _, err := g.UploadFile(t.Context(), api.UploadFile{Site: site.ID, File: localFile("größe & co", fresh)}, nil); code(err) != api.CodeFileExists {
		t.Errorf("a file of a folder's name: %v", err)
	}
	for _, exists := range []api.Exists{api.ExistsBoth, api.ExistsReplace} {
		if u := g.uploadAs(site.ID, "a.txt", fresh, exists, nil); u.State != api.TransferDone {
			t.Fatalf("%s: %+v, %v", exists, u, u.Problem)
		}
	}
	for _, name := range []string{"a.txt", "a (2).txt"} {
		if got, err := read(name); err != nil || !bytes.Equal(got, fresh) {
			t.Errorf("%s: %d octets, %v", name, len(got), err)
		}
	}
	if u := g.uploadAs(site.ID, "empty", nil, api.ExistsAsk, nil); u.State != api.TransferDone {
		t.Errorf("%+v, %v", u, u.Problem)
	}
	a := strings.TrimSuffix(string(site.Home), "/") + "/a.txt"
	d, err := g.DeleteFiles(t.Context(), api.DeleteFiles{Site: site.ID, Paths: []api.FilePath{folder.Path, api.FilePath(a)}})
	if err != nil {
		t.Fatal(err)
	}
	g.gone(d.ID)
	if got := names(); got != "a (2).txt empty" {
		t.Errorf("%s", got)
	}
	if _, err := g.RenameFile(t.Context(), api.RenameFile{Site: site.ID, Path: api.FilePath(a), Name: "b"}); code(err) != api.CodeNoSuchFile {
		t.Errorf("%v", err)
	}
}

// gone waits until a deletion is.
func (g *realGateway) gone(id api.TransferID) {
	g.t.Helper()
	limit := time.After(time.Minute)
	for {
		t, err := g.transfers.find(id)
		if err != nil {
			return
		}
		if s := t.snapshot(); s.State == api.TransferFailed {
			g.t.Fatalf("%+v, %v", s, s.Problem)
		}
		select {
		case <-g.changed:
		case <-time.After(50 * time.Millisecond):
		case <-limit:
			g.t.Fatalf("%+v", t.snapshot())
		}
	}
}
