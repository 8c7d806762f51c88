package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/postern-mail/postern/gateway/certificate/acmetest"
)

func TestMain(m *testing.M) {
	testscript.Main(tight{m}, map[string]func(){"postern": main, "load-gateway": loadGateway, "load-clients": loadClients})
}

// tight fails on a goroutine that is left.
type tight struct{ *testing.M }

func (m tight) Run() int {
	code := m.M.Run()
	if err := goleak.Find(acmetest.Lasting()...); err != nil && code == 0 {
		os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	return code
}

// TestScripts runs what people type, as testdata/script has it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"LISTEN", "SMTP", "SUBMISSION", "SUBMISSIONS", "POP3", "POP3S"} {
				e.Setenv("POSTERN_"+name, "127.0.0.1:0")
			}
			e.Setenv("POSTERN_DOMAIN", "mail.example")
			e.Setenv("POSTERN_DELIVER", "off") // no test asks the DNS of the world
			// A socket's path is short, and a test's folder is not.
			dir, err := os.MkdirTemp("", "p")
			if err != nil {
				return err
			}
			e.Defer(func() { os.RemoveAll(dir) })
			e.Setenv("SHORT", dir)
			e.Setenv("POSTERN_DATA", filepath.Join(dir, "data"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"await": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 1 {
					ts.Fatalf("usage: await FILE")
				}
				for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
					if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
						return
					}
					if time.Now().After(end) {
						ts.Fatalf("%s does not come", args[0])
					}
				}
			},
		},
	})
}
