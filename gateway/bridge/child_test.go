package bridge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/wire"
)

// A gateway, or what it is compared with, in a process of its own: the memory and the processor's time that are measured are its
// alone.

const (
	childKind    = "POSTERN_CHILD_KIND"    // "gateway" or "bare"
	childTargets = "POSTERN_CHILD_TARGETS" // addresses of a source, a sink, an echo
)

// relayProcess is such a process.
type relayProcess struct {
	*exec.Cmd
	url string
}

func startRelay(t testing.TB, kind string, targets ...string) *relayProcess {
	t.Helper()
	p := &relayProcess{Cmd: exec.Command(os.Args[0], "-test.run", "^$")}
	p.Env = append(os.Environ(), childKind+"="+kind, childTargets+"="+strings.Join(targets, ","))
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p.url = "http://" + strings.TrimSpace(address)
	return p
}

// memory is what the process holds, in octets.
func (p *relayProcess) memory(t testing.TB) int { return mailtest.Memory(t, p.Process.Pid) }

// child serves until it is killed.
func child() error {
	targets := strings.Split(os.Getenv(childTargets), ",")
	var h http.Handler
	if os.Getenv(childKind) == "bare" {
		h = bare(targets)
	} else {
		b, err := New(Config{
			Embedded: own(map[wire.ServiceName]string{wire.POP3: targets[0], wire.SMTP: targets[1], wire.Submission: targets[2]}),
			Limits: Limits{Sessions: -1, SessionsPerClient: -1, NewSessionsPerMinute: -1, StreamsPerClient: -1, StreamsInAll: -1, NewStreamsPerMinute: -1,
				BytesPerSecond: -1},
		})
		if err != nil {
			return err
		}
		h = b
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return http.Serve(l, h)
}

// bare is a WebSocket to TCP relay without tunnel, policy or limits. The path is the number of the target.
func bare(targets []string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(strings.Trim(r.URL.Path, "/"))
		if err != nil || i >= len(targets) {
			http.NotFound(w, r)
			return
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		ws.SetReadLimit(wire.MaxMessage)
		tcp, err := net.Dial("tcp", targets[i])
		if err != nil {
			return
		}
		c := websocket.NetConn(context.Background(), ws, websocket.MessageBinary)
		go func() {
			_, _ = io.CopyBuffer(struct{ io.Writer }{tcp}, c, make([]byte, block))
			_ = tcp.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.CopyBuffer(c, struct{ io.Reader }{tcp}, make([]byte, block))
		_ = c.Close()
	}
}
