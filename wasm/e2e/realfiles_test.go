//go:build unix

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/postern-mail/postern/shared/mailtest/testbed"
)

// Nobody's own servers: pure-ftpd, and vsftpd, which refuses a data connection that does not resume the control connection's
// session. Each is added in the form, and what one does with files is done there by keyboard.
func TestRealFileServers(t *testing.T) {
	pure, explicit, implicit := testbed.StartPureFTPd(t), testbed.StartVsftpd(t, false), testbed.StartVsftpd(t, true)
	g := startGateway(t, "--allow", pure.Address(), "--allow", explicit.Address(), "--allow", implicit.Address())
	b := startBrowser(t, "alice")
	saved := b.downloads()
	b.Go(g.URL())
	b.Until("files alone are offered", q("signin-form")+` !== null && `+q("site-add")+`?.getClientRects().length > 0`)
	data := octets(2_000_000)
	up := filepath.Join(t.TempDir(), "Ferien 日本.bin")
	if err := os.WriteFile(up, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		server        *testbed.FTP
		name, user    string
		security, tls string // of the form, and what the wire says of the data connection
	}{
		{pure, "plain", "alice", "plain", ""},
		{pure, "pure", "bob", "starttls", "TLS 1."},
		{explicit, "explicit", "alice", "starttls", "resumed"},
		{implicit, "implicit", "bob", "tls", "resumed"},
	} {
		b.Click("site-add")
		b.Type("site-host", "127.0.0.1")
		b.Choose("site-security", c.security)
		b.Until(c.name+": the port follows", fmt.Sprintf(`%s.value === (%t ? "990" : "21")`, q("site-port"), c.security == "tls"))
		b.Fill("site-port", fmt.Sprint(c.server.Port))
		b.Type("site-user", c.user)
		b.Type("site-label", c.name)
		b.Type("site-password", "wrong")
		b.Press(enter)
		if c.security != "plain" {
			b.Click("trust-certificate")
		}
		b.Until(c.name+": the password is asked for again", q("site-error")+`?.innerText.includes("password was not accepted") && document.activeElement === `+q("site-password"))
		b.Fill("site-password", c.user+"-pw")
		b.Press(enter)
		b.Until(c.name+": an empty folder", q("files-empty")+` !== null`)
		b.Until(c.name+": what is plain is said", fmt.Sprintf(`(%s !== null) === %t`, q("site-seal"), c.security == "plain"))

		b.run(chromedp.SetUploadFiles(tid("files-upload"), []string{up}, chromedp.ByQuery))
		b.Until(c.name+": the file is there", fileRow("Ferien 日本.bin")+`?.dataset.size === "2000000"`)
		b.Click("files-new-folder")
		b.Fill("file-name", "Süd")
		b.Press(enter)
		b.Until(c.name+": the folder has the focus", fileRow("Süd")+` === document.activeElement`)
		b.Key("/")
		b.Until(c.name+": the filter", q("files-filter")+` === document.activeElement`)
		b.Press("日本")
		b.Until(c.name+": one is shown", fileRow("Süd")+` === undefined && `+fileRow("Ferien 日本.bin")+` !== undefined`)
		b.Press(kb.ArrowDown)
		b.Until(c.name+": the row", fileRow("Ferien 日本.bin")+` === document.activeElement`)
		b.Press(kb.F2)
		b.Until(c.name+": its name", q("file-name")+` === document.activeElement`)
		b.Fill("file-name", "日本 (2).bin")
		b.Press(enter)
		b.Until(c.name+": it is called that", fileRow("日本 (2).bin")+` === document.activeElement`)
		b.Press(enter)
		if got := saved(); !bytes.Equal(got, data) {
			t.Errorf("%s: %d octets were saved that are not those sent", c.name, len(got))
		}
		if got, err := os.ReadFile(filepath.Join(c.server.Folder(c.user), "日本 (2).bin")); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: on the server: %d octets, %v", c.name, len(got), err)
		}
		b.Press(kb.Escape)
		b.Until(c.name+": all is shown", fileRow("Süd")+` !== undefined`)
		b.Eval(fileRow("Süd")+`.focus()`, nil)
		b.Press(kb.Delete)
		b.Until(c.name+": it is gone from the list", fileRow("Süd")+` === undefined`)
		b.Press("z", chromedp.KeyModifiers(2))
		b.Until(c.name+": it is back", fileRow("Süd")+` !== undefined`)
		b.shot("realfiles-" + c.name)

		b.Eval(transfer("日本 (2).bin")+`.querySelector('[data-testid="transfer-said"]').click()`, nil)
		b.Until(c.name+": what was said on the data connection", fmt.Sprintf(`[...document.querySelectorAll('[data-testid="wire-line"][data-data]')].some(e => e.innerText.includes(%s))`, js(c.tls)))
		b.shot("realfiles-" + c.name + "-wire")
		b.Press(kb.Escape)
		b.Until(c.name+": back at the files", q("files-pane")+`?.contains(document.activeElement)`)
	}
	b.Click("signin-link")
	b.SignInDemo("alice")
	b.Until("the servers are beside the mail", `document.querySelectorAll('[data-testid="site-row"]').length === 4`)
}
