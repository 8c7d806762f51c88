package bridge

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// websockify is what most relays from a WebSocket to TCP are: noVNC's, in Python. One relays to one target, by a process of its
// own for each connection.
type websockify []*exec.Cmd

// websockifyConnections are those whose memory is measured: with some hundreds open it takes no more.
const websockifyConnections = 50

// startWebsockify answers false where there is none.
func startWebsockify(t testing.TB, targets []string) (relayer, bool) {
	t.Helper()
	path, err := exec.LookPath("websockify")
	if err != nil {
		return relayer{}, false
	}
	var all websockify
	var addresses []string
	for _, target := range targets {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String() // it cannot say which it has chosen itself
		_ = l.Close()
		p := exec.Command(path, address, target)
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { // it ends its connections' processes itself
			_ = p.Process.Signal(syscall.SIGTERM)
			late := time.AfterFunc(5*time.Second, func() { _ = p.Process.Kill() })
			defer late.Stop()
			_ = p.Wait()
		})
		all, addresses = append(all, p), append(addresses, address)
	}
	for _, address := range addresses {
		listens(t, address)
	}
	return relayer{
		name: "websockify",
		dial: func(i int) (net.Conn, error) {
			ws, _, err := websocket.Dial(t.Context(), "ws://"+addresses[i], &websocket.DialOptions{
				Subprotocols: []string{"binary"}, // which its own client asks for
			})
			if err != nil {
				return nil, err
			}
			ws.SetReadLimit(-1)
			return websocket.NetConn(context.Background(), ws, websocket.MessageBinary), nil
		},
		memory: func() int { return all.memory(t) },
	}, true
}

// listens waits until somebody does there.
func listens(t testing.TB, address string) {
	t.Helper()
	for range 200 {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("websockify does not listen at %s", address)
}

// memory is what its processes hold, in octets. What they share is divided among them: they are one program.
func (w websockify) memory(t testing.TB) (sum int) {
	t.Helper()
	for _, p := range w {
		pids := append(childrenOf(t, p.Process.Pid), p.Process.Pid)
		for _, pid := range pids {
			sum += share(t, pid)
		}
	}
	return sum
}

func childrenOf(t testing.TB, pid int) (pids []int) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Skip("no /proc to read the processes of websockify from")
	}
	for _, word := range strings.Fields(string(b)) {
		child, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, child)
	}
	return pids
}

// share is what a process holds, of shared pages its part (its proportional set).
func share(t testing.TB, pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0 // it has ended meanwhile
	}
	words := strings.Fields(string(b))
	i := slices.Index(words, "Pss:")
	if i < 0 || i+1 == len(words) {
		t.Skip("no /proc to read the memory of websockify from")
	}
	kb, err := strconv.Atoi(words[i+1])
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
