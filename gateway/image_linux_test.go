package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// image is what the test looks at of an OCI image's configuration.
type image struct {
	OCIv1 struct {
		Config struct {
			User            string
			Env, Entrypoint []string
			Cmd             []string
			StopSignal      string
			ExposedPorts    map[string]struct{}
		} `json:"config"`
	}
}

// The Dockerfile makes an image with one static binary in it, which serves as a user without rights, in a root where there is
// nothing else, and ends when it is told to. Nothing is fetched for it.
func TestImage(t *testing.T) {
	buildah := installed(t, "buildah")
	if os.Getuid() != 0 {
		t.Skip("making an image and a root for it to run in needs root here")
	}
	dir := t.TempDir()
	sources := filepath.Join(dir, "sources") // as the Dockerfile wants them
	if err := os.MkdirAll(filepath.Join(sources, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(sources, "bin", "postern"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.CopyFS(filepath.Join(sources, "gateway", "deploy"), os.DirFS("deploy")); err != nil {
		t.Fatal(err)
	}
	do := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(buildah, append([]string{"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs"}, args...)...)
		cmd.Dir = sources
		out, err := cmd.Output()
		if err != nil {
			text := ""
			if e, ok := err.(*exec.ExitError); ok {
				text = string(e.Stderr)
			}
			t.Fatalf("buildah %v: %v\n%s%s", args, err, out, text)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return lines[len(lines)-1]
	}
	do("bud", "--isolation", "chroot", "--pull-never", "-f", "gateway/deploy/Dockerfile", "-t", "postern", ".")
	container := do("from", "--pull-never", "postern")
	root := do("mount", container)
	t.Cleanup(func() { do("umount", container); do("rm", container) })

	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(path, root))
		}
		return err
	})
	if want := []string{"/data/.keep", "/postern"}; err != nil || !slices.Equal(files, want) {
		t.Errorf("the image holds %q, %v; want %q", files, err, want)
	}
	var about image
	inspect := exec.Command(buildah, "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs", "inspect", "--type", "image", "postern")
	out, err := inspect.Output()
	if err == nil {
		err = json.Unmarshal(out, &about)
	}
	if err != nil {
		t.Fatal(err)
	}
	c := about.OCIv1.Config
	if c.User != "65532:65532" || c.StopSignal != "SIGTERM" || !slices.Equal(c.Entrypoint, []string{"/postern"}) || !slices.Equal(c.Cmd, []string{"serve"}) {
		t.Errorf("the image runs %q %q as %s, and is stopped by %s", c.Entrypoint, c.Cmd, c.User, c.StopSignal)
	}

	// As it would run, but on this machine's loopback interface and free ports.
	page := freeAddress(t)
	log := &transcript{more: make(chan struct{}, 1)}
	cmd := exec.Command(c.Entrypoint[0], c.Cmd...)
	cmd.Env = c.Env
	for _, name := range []string{"SMTP", "SUBMISSION", "SUBMISSIONS", "POP3", "POP3S"} {
		cmd.Env = append(cmd.Env, "POSTERN_"+name+"=127.0.0.1:0")
	}
	cmd.Env = append(cmd.Env, "POSTERN_LISTEN="+page, "POSTERN_DELIVER=off")
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/data", log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for patience := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if code, _ := get(t, "http://"+page+"/readyz"); code == 200 {
			break
		}
		if time.Now().After(patience) {
			_ = cmd.Process.Kill()
			t.Fatalf("it does not come up:\n%s", log)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "data", "mail")); err != nil {
		t.Errorf("its mail is not in the volume: %v", err)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v:\n%s", err, log)
		}
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		t.Errorf("it does not end:\n%s", log)
	}
}
