package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/shared/control"
	"github.com/postern-mail/postern/shared/printable"
)

// queuePage is how many rows are asked for at a time.
const queuePage = 1000

func queueList(ctx context.Context, admin administrator, c config.Config, env environment) error {
	f := control.QueueFilter{Limit: queuePage}
	if len(c.Args) > 0 {
		f.Destination = c.Args[0]
	}
	t := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tFROM\tTO\tSIZE\tSTATE\tTRIES\tNEXT TRY\tPROBLEM")
	for {
		rows, err := admin.ListQueue(ctx, f)
		if err != nil {
			return err
		}
		for _, r := range rows {
			next := r.NextTry.Local().Format(time.DateTime)
			if r.State != "waiting" {
				next = "-"
			}
			fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", r.ID, path(r.Sender), path(r.Recipient), size(r.Size), r.State, r.Attempts, next, printable.Line(r.Problem))
			f.After = r.ID
		}
		if len(rows) < queuePage {
			return t.Flush()
		}
	}
}

// path is an address as SMTP writes it: the null sender shows.
func path(address string) string { return "<" + printable.Line(address) + ">" }

func queueShow(ctx context.Context, admin administrator, c config.Config, env environment) error {
	id, err := strconv.ParseInt(c.Args[0], 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not a number of the queue; postern queue list shows them", c.Args[0])
	}
	d, err := admin.ShowQueue(ctx, id)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "From\t%s\nTo\t%s\nSize\t%s\nReceived\t%s\nState\t%s\n", path(d.Sender), path(d.Recipient), size(d.Size), d.Created.Local().Format(time.DateTime), d.State)
	if d.State == "waiting" {
		fmt.Fprintf(t, "Next try\t%s\n", d.NextTry.Local().Format(time.DateTime))
	}
	fmt.Fprintf(t, "Tries\t%d\n", d.Attempts)
	if !d.Tried.IsZero() {
		fmt.Fprintf(t, "Last try\t%s\n", d.Tried.Local().Format(time.DateTime))
	}
	if d.Server != "" {
		fmt.Fprintf(t, "Server\t%s\n", printable.Line(d.Server))
	}
	if d.TLS != "" {
		fmt.Fprintf(t, "TLS\t%s\n", printable.Line(d.TLS))
	}
	if d.Problem != "" {
		words := printable.Line(d.Problem)
		if d.Code != 0 {
			words = strings.TrimSpace(fmt.Sprint(d.Code, " ", d.Enhanced)) + " " + words
		}
		if d.Own {
			words += " (not the other server's words)"
		}
		fmt.Fprintf(t, "Problem\t%s\n", words)
	}
	if d.Unknown > 0 {
		fmt.Fprintf(t, "Unknown\t%d tries that the other server may have taken\n", d.Unknown)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, part := range []struct{ title, text string }{{"Header", d.Header}, {"What was said", d.Transcript}} {
		if part.text == "" {
			continue
		}
		fmt.Fprintf(env.stdout, "\n%s:\n", part.title)
		for line := range strings.Lines(part.text) {
			fmt.Fprintf(env.stdout, "  %s\n", printable.Line(strings.TrimRight(line, "\r\n")))
		}
	}
	return nil
}

func queueChange(ctx context.Context, admin administrator, c config.Config, env environment) error {
	f, err := chosen(c.Args)
	if err != nil {
		return err
	}
	_, verb, _ := strings.Cut(string(c.Command), " ")
	n, err := admin.ChangeQueue(ctx, control.QueueAction(verb), f)
	if err != nil {
		return err
	}
	done := map[config.Command]string{config.QueueRetry: "tried now", config.QueueHold: "held", config.QueueFree: "released", config.QueueReturn: "given back", config.QueueDrop: "dropped"}[c.Command]
	_, err = fmt.Fprintf(env.stdout, "%d %s.\n", n, done)
	return err
}

// chosen reads which rows are meant: numbers, a domain, or all.
func chosen(args []string) (f control.QueueFilter, err error) {
	if len(args) == 1 && args[0] == "all" {
		return f, nil
	}
	for _, a := range args {
		if id, err := strconv.ParseInt(a, 10, 64); err == nil {
			f.IDs = append(f.IDs, id)
		} else if len(args) == 1 && strings.Contains(a, ".") {
			f.Destination = a
		} else {
			return f, fmt.Errorf("%q is neither a number of the queue, nor a domain, nor all", a)
		}
	}
	return f, nil
}
