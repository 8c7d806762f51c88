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
)

// worldOf is the world of the gateway that runs on the data folder.
func worldOf(admin administrator, c config.Config) (control.World, error) {
	w, ok := admin.(control.World)
	if !ok {
		return nil, fmt.Errorf("no gateway runs on %s, and a world is there only while one does: postern serve --demo", c.Data)
	}
	return w, nil
}

func showWorld(ctx context.Context, admin administrator, c config.Config, env environment) error {
	w, err := worldOf(admin, c)
	if err != nil {
		return err
	}
	state, err := w.ShowWorld(ctx)
	if err != nil {
		return err
	}
	return printWorld(state, env)
}

func worldFault(ctx context.Context, admin administrator, c config.Config, env environment) error {
	w, err := worldOf(admin, c)
	if err != nil {
		return err
	}
	f := control.Fault{Domain: c.Args[0], Kind: control.FaultKind(strings.ToLower(c.Args[1])), For: c.For}
	if f.Domain == "all" {
		f.Domain = control.AllDomains
	}
	state, err := w.SetFault(ctx, f)
	if err != nil {
		return err
	}
	return printWorld(state, env)
}

func worldClock(ctx context.Context, admin administrator, c config.Config, env environment) error {
	w, err := worldOf(admin, c)
	if err != nil {
		return err
	}
	var change control.ClockChange
	switch {
	case len(c.Args) == 2 && c.Args[0] == "jump":
		if change.Jump, err = config.Duration(c.Args[1]); err != nil {
			return fmt.Errorf("%q %w", c.Args[1], err)
		}
	case len(c.Args) == 1:
		if change.Rate, err = strconv.ParseFloat(c.Args[0], 64); err != nil || change.Rate == 0 {
			return fmt.Errorf("%q is not how many times as fast a clock goes, such as 3600; or jump 1h", c.Args[0])
		}
	default:
		return fmt.Errorf("a clock goes so many times as fast (postern world clock 60), or is put forward (postern world clock jump 1h)")
	}
	state, err := w.SetClock(ctx, change)
	if err != nil {
		return err
	}
	return printWorld(state, env)
}

// faultsSay is what each fault does, for those who read what lasts.
var faultsSay = map[control.FaultKind]string{
	control.FaultGreylist:  "mail is not taken before it comes again, five minutes later",
	control.FaultTemporary: "every recipient is refused for now (451)",
	control.FaultPermanent: "every recipient is refused for good (550)",
	control.FaultDropData:  "the connection is cut when the message is to begin",
	control.FaultDropDot:   "the message is taken, and the connection cut before that is said: it will come twice",
	control.FaultSlow:      "the link is slow",
	control.FaultDown:      "the server cannot be reached",
}

func printWorld(w control.WorldState, env environment) error {
	t := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SERVER\tDOMAINS\tADDRESS\tLISTENS AT\tACCOUNTS\tWAITING")
	for _, s := range w.Servers {
		at := s.SMTP
		if at == "" {
			at = "off"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\n", s.Hostname, strings.Join(s.Domains, " "), s.Address, at, strings.Join(s.Accounts, " "), s.Waiting)
	}
	fmt.Fprintf(t, "\nClock\t%s\n", clock(w))
	if len(w.Faults) == 0 {
		fmt.Fprintf(t, "Faults\tnone\n")
	}
	for i, f := range w.Faults {
		title, domain := "Faults", f.Domain
		if i > 0 {
			title = ""
		}
		if domain == control.AllDomains {
			domain = "all"
		}
		lasts := "until it is switched off"
		if f.For > 0 {
			lasts = "for " + span(f.For) + " by that clock"
		}
		fmt.Fprintf(t, "%s\t%s: %s, %s; %s\n", title, domain, f.Kind, lasts, faultsSay[f.Kind])
	}
	return t.Flush()
}

// clock says what time it is in the world, and how that comes.
func clock(w control.WorldState) string {
	s := w.Now.Local().Format(time.DateTime)
	if w.Rate != 1 {
		s += fmt.Sprintf(", %s times as fast as ours", strconv.FormatFloat(w.Rate, 'g', -1, 64))
	}
	if w.Ahead >= time.Second {
		s += ", " + span(w.Ahead) + " ahead"
	}
	return s
}

// span is a time that something lasts, as a person reads it: the two largest units that it has.
func span(d time.Duration) string {
	d = max(d.Round(time.Second), time.Second)
	var parts []string
	for _, u := range []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if n := d / u.size; n > 0 && len(parts) < 2 {
			parts = append(parts, fmt.Sprint(int64(n), u.name))
			d -= n * u.size
		} else if len(parts) > 0 {
			break
		}
	}
	return strings.Join(parts, " ")
}
