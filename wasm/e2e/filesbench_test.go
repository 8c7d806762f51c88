//go:build unix

package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
)

const (
	// filesPatience bounds each line of BenchmarkFilesTable.
	filesPatience = 2 * time.Minute
	// Of the small files, lftp moves so many under TLS (50 ms each), and curl so many (up to a second each).
	lftpSealed, curlSmall = 100, 5
)

// BenchmarkFilesTable moves files between a person's disk and pure-ftpd with the page in Chromium through the gateway, as a person does
// who chooses them, and beside it with lftp and curl, which need no gateway; and prints one table. Up is from the choice of
// files to the page saying that all are on the server; down is from Enter to the large file being whole in the browser's own folder of downloads,
// or the page saying that all of the small ones are on the device: of those Chromium saves ten a second, however fast they come.
func BenchmarkFilesTable(b *testing.B) {
	if chromium() == "" {
		b.Skip("no Chromium on this machine: `task install` as root installs it")
	}
	b.Setenv("TMPDIR", "/dev/shm") // where the peers write, too: no disk has a say in it
	w := filesWorld{B: b, yard: testbed.NewYard(b)}
	w.gateway = startGateway(b, "--allow", w.yard.Server.Address())
	for _, how := range []string{"plain", "tls"} {
		for _, m := range moves {
			b.Run(how+"/"+m.name, func(b *testing.B) {
				w.B, w.yard.Secure = b, how == "tls"
				w.line(m)
				for b.Loop() { // the table is the result; the framework only wants to have been asked
				}
			})
		}
	}
	w.table.Print(os.Stdout)
}

// move is what is moved: the large file, or the small ones.
type move struct {
	name, what string
	up, small  bool
}

var moves = []move{
	{"large-up", "200 MB up", true, false},
	{"large-down", "200 MB down", false, false},
	{"small-up", "2,000 small files up", true, true},
	{"small-down", "2,000 small files down to the device", false, true},
}

// filesWorld is what is measured.
type filesWorld struct {
	*testing.B
	yard    *testbed.Yard
	gateway *gateway
	table   mailtest.Table
}

// rate is how fast so many files of a move moved.
func (m move) rate(files int, took time.Duration) (float64, string) {
	if !m.small {
		n := testbed.LargeFile / 1e6 / took.Seconds()
		return n, fmt.Sprintf("%.0f MB/s", n)
	}
	n := float64(files) / took.Seconds()
	if files < testbed.SmallFiles {
		return n, fmt.Sprintf("%.0f files/s (of %d)", n, files)
	}
	return n, fmt.Sprintf("%.0f files/s", n)
}

// line measures a move with a fresh browser and with the peers.
func (w *filesWorld) line(m move) {
	y := w.yard
	how, lftp, curl, some := ", in plain text", testbed.SmallFiles, curlSmall, "*"
	if y.Secure {
		how = ", under TLS"
		if m.small {
			lftp, some = lftpSealed, "1??"
		}
	}
	p := w.page()
	defer p.Close()
	ours, words := m.rate(testbed.SmallFiles, p.move(m))
	w.table.Add(m.what+how+", Postern in Chromium", words, "", "")
	w.table.Add("    meanwhile the page draws", fmt.Sprintf("%.0f frames/s, the longest %.0f ms", p.frames.FPS, p.frames.Worst), fmt.Sprintf("%.2f", p.frames.FPS/60), "60 frames/s")
	w.table.Add("    and its process holds at most", fmt.Sprintf("%d MB", p.memory/1e6), "", "")
	peer := func(name string, files int, run func(testing.TB)) {
		start := time.Now()
		run(w)
		its, words := m.rate(files, time.Since(start))
		w.table.Add("    "+name, words, fmt.Sprintf("%.2f", ours/its), "its speed: ours")
	}
	switch {
	case m.small && m.up:
		peer("lftp", lftp, y.Lftp("mput -O up "+y.Here+"/small/"+some))
	case m.small:
		peer("lftp", lftp, y.Lftp("mget -O "+y.Here+" small/"+some))
	case m.up:
		peer("lftp", 1, y.Lftp("put -O up "+y.Here+"/large"))
	default:
		peer("lftp", 1, y.Lftp("get -O "+y.Here+" large -o got"))
	}
	switch {
	case m.small:
		peer("curl", curl, y.CurlEach(w, curl, m.up))
	case m.up:
		peer("curl", 1, y.Curl("-T", y.Here+"/large", y.URL("up/large")))
	default:
		peer("curl", 1, y.Curl("-o", y.Here+"/got", y.URL("large")))
	}
}

// filesPage is a browser with the server among its sites.
type filesPage struct {
	*browser
	w      *filesWorld
	saved  string // the folder of the browser's downloads
	frames pace
	memory int64 // of the largest process of the browser, octets
}

// page adds the server in a fresh browser.
func (w *filesWorld) page() *filesPage {
	p := &filesPage{browser: startBrowser(w, "files"), w: w, saved: w.TempDir()}
	host, port, _ := net.SplitHostPort(w.yard.Server.Address())
	security := "plain"
	if w.yard.Secure {
		security = "starttls"
	}
	p.run(cdpbrowser.SetDownloadBehavior(cdpbrowser.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(p.saved))
	p.Go(w.gateway.URL())
	p.SignInDemo("alice")
	p.Click("site-add")
	p.Type("site-host", host)
	p.Choose("site-security", security)
	p.Fill("site-port", port)
	p.Type("site-user", w.yard.User.Name)
	p.Type("site-password", w.yard.User.Password)
	p.Click("site-save")
	if w.yard.Secure {
		p.Until("its certificate is shown", q("trust-certificate")+` !== null`)
		p.Click("trust-certificate")
	}
	p.Until("its files are listed", fileRow("large")+` !== undefined`)
	return p
}

// in goes to a folder of the server.
func (p *filesPage) in(folder string) {
	p.OpenFile(folder)
	p.Until("its files are listed", q("files-pane")+`.dataset.path.endsWith(`+js("/"+folder)+`) && `+q("file-list")+`?.dataset.loaded === "true"`)
}

// move moves what is to be moved, sees that it arrived as it was, and answers how long it took.
func (p *filesPage) move(m move) time.Duration {
	y := p.w.yard
	files, folder := []string{"large"}, "up"
	if m.small {
		files = y.Names()
		if !m.up {
			folder = "small"
		}
	}
	to := p.saved
	if m.up {
		to = filepath.Join(y.There(), "up")
		entries, _ := os.ReadDir(to)
		for _, e := range entries {
			os.Remove(filepath.Join(to, e.Name()))
		}
	}
	if m.up || m.small {
		p.in(folder)
	}
	var here []string
	for _, f := range files {
		here = append(here, filepath.Join(y.Here, f))
	}
	if m.small && !m.up {
		p.Eval(`document.querySelector('[data-testid="file-row"]').focus()`, nil)
		p.Press("a", chromedp.KeyModifiers(input.ModifierCtrl))
		p.Until("all are selected", `document.body.innerText.includes("`+thousands(len(files))+` selected")`)
	}
	took := p.measure(func() {
		switch {
		case m.up:
			p.run(chromedp.SetUploadFiles(tid("files-upload"), here, chromedp.ByQuery))
			p.done(len(files))
		case m.small:
			p.Press(enter)
			p.done(len(files))
		default:
			p.OpenFile(files[0])
			p.arrive(to, files)
		}
	})
	if m.small && !m.up {
		slices.Sort(files) // as they come
		files = files[:sampled]
		p.arrive(to, files)
	}
	for _, f := range files {
		got, err := os.ReadFile(filepath.Join(to, filepath.Base(f)))
		if want, _ := os.ReadFile(filepath.Join(y.Here, f)); err != nil || !bytes.Equal(got, want) {
			p.t.Fatalf("%s is not what was sent: %d octets, %v", f, len(got), err)
		}
	}
	return took
}

// done waits, within the page, until the tray says that all are done: who asks from outside again and again is a load of his own.
func (p *filesPage) done(n int) {
	words := strconv.Quote(thousands(n) + " transfers done")
	if n == 1 {
		words = `"1 transfer done"`
	}
	p.within(filesPatience, "all are done", `new Promise((done, fail) => setInterval(() => {
		const says = `+q("transfers-toggle")+`?.textContent ?? "";
		if (says.includes(`+words+`)) done(true);
		if (says.includes("failed")) fail(says);
	}, 50))`)
}

// sampled is how many of the small files are looked at where the browser saves them: it takes ten a second, as fast as they may come.
const sampled = 20

// arrive waits until all files are whole in a folder of this machine.
func (p *filesPage) arrive(to string, files []string) {
	size := int64(testbed.SmallFile)
	if len(files) == 1 {
		size = testbed.LargeFile
	}
	for until := time.Now().Add(filesPatience); ; time.Sleep(50 * time.Millisecond) {
		whole := 0
		for _, f := range files {
			if info, err := os.Stat(filepath.Join(to, filepath.Base(f))); err == nil && info.Size() == size {
				whole++
			}
		}
		if whole == len(files) {
			return
		}
		if time.Now().After(until) {
			p.t.Fatalf("%d files of %d were saved; page: %s", whole, len(files), p.text())
		}
	}
}

// measure runs what moves files, and counts frames and memory meanwhile.
func (p *filesPage) measure(move func()) time.Duration {
	p.Eval(`(() => {
		let n = 0, worst = 0, first = 0, last = 0, stop = false;
		requestAnimationFrame(function step(t) {
			if (first) worst = Math.max(worst, t - last); else first = t;
			last = t; n++;
			if (!stop) requestAnimationFrame(step);
		});
		globalThis.drawn = () => { stop = true; return {FPS: (n - 1) / (last - first) * 1000, Worst: worst} };
	})()`, nil)
	stop, most := make(chan struct{}), make(chan int64)
	go func() { most <- p.largest(stop) }()
	start := time.Now()
	move()
	took := time.Since(start)
	close(stop)
	p.memory = <-most
	p.Eval(`drawn()`, &p.frames)
	return took
}

// largest is how much memory of its own the largest process of the browser had, at most, until stop.
func (p *filesPage) largest(stop <-chan struct{}) (most int64) {
	group := chromedp.FromContext(p.ctx).Browser.Process().Pid
	for {
		list, _ := filepath.Glob("/proc/[0-9]*/status")
		for _, name := range list {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			if g, err := syscall.Getpgid(pid); err != nil || g != group {
				continue
			}
			status, _ := os.ReadFile(name)
			_, rest, _ := strings.Cut(string(status), "RssAnon:")
			line, _, _ := strings.Cut(rest, "kB")
			n, _ := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
			most = max(most, n<<10)
		}
		select {
		case <-stop:
			return most
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// thousands is a number as the page writes it.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}
