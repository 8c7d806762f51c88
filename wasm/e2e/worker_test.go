package e2e

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-mail/postern/shared/mailtest/testbed"
	"github.com/postern-mail/postern/wasm/internal/worker"
	"github.com/postern-mail/postern/wasm/internal/workerd"
)

// onWorkers is the gateway as a Cloudflare Worker, with the page as its static assets, in workerd.
type onWorkers struct {
	*workerd.Process
	log logBuffer
}

// startWorker starts it, until the end of the test.
func startWorker(t testing.TB, variables map[string]string) *onWorkers {
	t.Helper()
	if _, err := workerd.Find(); err != nil {
		t.Skip(err)
	}
	if _, err := binary(); err != nil { // packs the page
		t.Fatal(err)
	}
	root, dir := filepath.Join("..", ".."), t.TempDir()
	program, page := filepath.Join(dir, worker.ProgramFolder), filepath.Join(dir, worker.PageFolder)
	if _, err := worker.Program(t.Context(), root, program); err != nil {
		t.Fatal(err)
	}
	if err := worker.Page(os.DirFS(filepath.Join(root, "public", "dist")), page); err != nil {
		t.Fatal(err)
	}
	assets, err := workerd.Assets(page)
	if err != nil {
		t.Fatal(err)
	}
	files := httptest.NewServer(assets)
	t.Cleanup(files.Close)
	settings, err := workerd.ReadSettings(filepath.Join(root, "wasm", "edge", "wrangler.jsonc"))
	if err != nil {
		t.Fatal(err)
	}
	w := new(onWorkers)
	w.Process, err = workerd.Start(t.Context(), workerd.Options{
		Settings: settings, Folder: program, Page: files.Listener.Addr().String(), Variables: variables, Anywhere: true, Log: &w.log,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, &w.log)
	}
	t.Cleanup(func() {
		w.Stop()
		if t.Failed() {
			t.Logf("the Worker's log:\n%s", &w.log)
		}
	})
	return w
}

// URL is that of the page.
func (w *onWorkers) URL() string {
	_, port, _ := net.SplitHostPort(w.Address)
	return "http://localhost:" + port
}

// The whole of it without the native gateway: the page comes from the Worker, asks for its token, and reads and answers mail at a real
// Dovecot and a real Postfix, inside TLS that ends in the page. Nothing that was said is in the Worker's log.
func TestOnWorkers(t *testing.T) {
	bed := testbed.Start(t)
	const token = "the token of the family"
	var allowed []string
	for _, port := range []int{bed.POP3S, bed.Submission} {
		allowed = append(allowed, bed.Address(port))
	}
	w := startWorker(t, map[string]string{"POSTERN_TOKEN": token, "POSTERN_POLICY": "list", "POSTERN_ALLOW": strings.Join(allowed, ", ")})
	deliverQuestion(t, bed)
	b := startBrowser(t, "alice")
	b.Go(w.URL())
	b.Until("it asks", q("gate-form")+` !== null`)
	b.Type("gate-token", "a token of somebody else")
	b.Click("gate-submit")
	b.Until("it is refused", q("gate-form")+`.textContent.includes("was not accepted")`)
	b.shot("worker-gate")
	b.Fill("gate-token", token)
	b.Click("gate-submit")
	b.Until("the gate is open", q("gate-form")+` === null`)
	b.answers(bed, "worker")

	// A place in the page is the page, also without its service worker; and it is still the same account.
	b.Until("the service worker is there", `navigator.serviceWorker.ready.then(() => true)`)
	b.Reload()
	b.Until("online again", q("connection-state")+`.dataset.state === "online"`)
	answer, err := http.Get(w.URL() + "/inbox")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if answer.StatusCode != http.StatusOK || !strings.Contains(answer.Header.Get("Content-Security-Policy"), "wasm-unsafe-eval") {
		t.Errorf("a place in the page: %d, %v", answer.StatusCode, answer.Header)
	}

	for _, secret := range []string{token, "somebody else", "alice-pw", "alice@", "thing on"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}
