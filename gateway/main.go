// Command postern is the gateway: it serves the page, carries the browser's streams to mail servers, and has a mail
// server of its own inside.
//
//	postern serve --demo
//
// starts a whole mail world on one machine. `postern help` lists everything that can be set.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/public"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	ends := make(chan os.Signal, 2)
	signal.Notify(ends, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ends
		cancel()
		die(<-ends)
	}()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	os.Exit(run(ctx, os.Args[1:], environment{os.LookupEnv, os.Stdin, os.Stdout, os.Stderr, hangups}))
}

// die ends the program at once, of the signal, so that whoever waits for it sees why.
func die(of os.Signal) {
	signal.Reset(of)
	if self, err := os.FindProcess(os.Getpid()); err != nil || self.Signal(of) != nil {
		os.Exit(1)
	}
}

// environment is what the program has of the world around it.
type environment struct {
	lookup         func(string) (string, bool)
	stdin          io.Reader
	stdout, stderr io.Writer
	hangups        <-chan os.Signal // SIGHUP: read again what may have changed
}

// run is the program; it answers the exit code: 0, 1 for a failure, 2 for a command that makes no sense.
func run(ctx context.Context, args []string, env environment) int {
	c, err := config.Parse(args, env.lookup)
	if err != nil {
		for line := range strings.Lines(err.Error() + "\n") {
			fmt.Fprint(env.stderr, "postern: ", line)
		}
		return 2
	}
	switch c.Command {
	case config.Help:
		err = config.Usage(env.stdout)
	case config.Version:
		err = printVersion(public.Files(), env.stdout)
	case config.ConfigExample:
		err = config.Example(env.stdout)
	case config.ConfigCheck:
		err = check(c, env.stdout)
	case config.DNS:
		err = records(c, env.stdout)
	case config.Restore:
		err = restore(ctx, c, env)
	case config.Fsck:
		err = fsck(ctx, c, env)
	default:
		if _, ok := commands[c.Command]; ok {
			err = administer(ctx, c, env)
			break
		}
		err = serve(ctx, c, newLogger(c, env.stderr), env)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(env.stderr, "postern:", err)
		return 1
	}
	return 0
}
