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
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/postern-mail/postern/gateway/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, os.Args[1:], environment{os.LookupEnv, os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// environment is what the program has of the world around it.
type environment struct {
	lookup         func(string) (string, bool)
	stdin          io.Reader
	stdout, stderr io.Writer
}

// run is the program; it answers the exit code: 0, 1 for a failure, 2 for a command that makes no sense.
func run(ctx context.Context, args []string, env environment) int {
	c, err := config.Parse(args, env.lookup)
	if err != nil {
		fmt.Fprintln(env.stderr, "postern:", err)
		return 2
	}
	switch c.Command {
	case config.Help:
		err = config.Usage(env.stdout)
	case config.Version:
		_, err = fmt.Fprintln(env.stdout, "postern", version())
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
		logger := slog.New(slog.NewTextHandler(env.stderr, &slog.HandlerOptions{Level: c.LogLevel}))
		err = serve(ctx, c, logger, env.stdout)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(env.stderr, "postern:", err)
		return 1
	}
	return 0
}
