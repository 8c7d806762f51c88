package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/shared/control"
)

func userAdd(ctx context.Context, admin administrator, c config.Config, env environment) error {
	u := control.NewUser{Email: c.Args[0]}
	if len(c.Args) > 1 {
		u.Name = c.Args[1]
	}
	var err error
	if u.Password, err = readPassword(u.Email, env); err != nil {
		return err
	}
	if err := admin.AddUser(ctx, u); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "%s can sign in.\n", u.Email)
	return err
}

func userPasswd(ctx context.Context, admin administrator, c config.Config, env environment) error {
	password, err := readPassword(c.Args[0], env)
	if err != nil {
		return err
	}
	return admin.SetPassword(ctx, c.Args[0], password)
}

func userRename(ctx context.Context, admin administrator, c config.Config, env environment) error {
	if err := admin.RenameUser(ctx, c.Args[0], c.Args[1]); err != nil {
		return err
	}
	_, err := fmt.Fprintf(env.stdout, "%[1]s is %[2]s now. To let mail for the old address arrive: postern alias add %[1]s %[2]s\n", c.Args[0], c.Args[1])
	return err
}

func userRemove(ctx context.Context, admin administrator, c config.Config, _ environment) error {
	err := admin.RemoveUser(ctx, c.Args[0], c.WithMail)
	var refused *control.Error
	if errors.As(err, &refused) && refused.Kind == control.HasMail {
		return fmt.Errorf("%w\nTo keep the mail: postern export maildir %[2]s PATH\nTo delete both, too: postern user remove --with-mail %[2]s", err, c.Args[0])
	}
	return err
}

func userDisable(ctx context.Context, admin administrator, c config.Config, _ environment) error {
	return admin.SetDisabled(ctx, c.Args[0], c.Command == config.UserDisable)
}

func userAdmin(ctx context.Context, admin administrator, c config.Config, env environment) error {
	if err := admin.SetAdmin(ctx, c.Args[0], !c.Off); err != nil {
		return err
	}
	words := "%s looks after the server: the page shows it in the account's menu.\n"
	if c.Off {
		words = "%s does not look after the server any more.\n"
	}
	_, err := fmt.Fprintf(env.stdout, words, c.Args[0])
	return err
}

func userList(ctx context.Context, admin administrator, _ config.Config, env environment) error {
	users, err := admin.Users(ctx)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ACCOUNT\tNAME\tMESSAGES\tSIZE\tQUOTA\tFILES\tSTATE")
	for _, u := range users {
		state := "active"
		switch {
		case u.Disabled:
			state = "disabled"
		case !u.SCRAM:
			state = "active, no SCRAM keys before the next login"
		}
		if u.Admin {
			state += ", administrator"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", u.Email, u.Name, u.Messages, size(u.Octets), quota(u.Quota), filesQuota(u.FilesQuota), state)
	}
	return t.Flush()
}

func userQuota(ctx context.Context, admin administrator, c config.Config, _ environment) error {
	var q control.Quota
	var err error
	if q.Octets, err = config.Size(c.Args[1]); err != nil {
		return err
	}
	if len(c.Args) > 2 {
		if q.Messages, err = strconv.ParseInt(c.Args[2], 10, 64); err != nil || q.Messages < 0 {
			return fmt.Errorf("%q is not a number of messages", c.Args[2])
		}
	}
	return admin.SetQuota(ctx, c.Args[0], q)
}

func userFiles(ctx context.Context, admin administrator, c config.Config, _ environment) error {
	octets := int64(0)
	if c.Args[1] != "default" {
		var err error
		if octets, err = config.Size(c.Args[1]); err != nil {
			return err
		}
		if octets == 0 {
			octets = control.NoLimit
		}
	}
	return admin.SetFilesQuota(ctx, c.Args[0], octets)
}

func filesQuota(octets int64) string {
	switch octets {
	case 0:
		return "default"
	case control.NoLimit:
		return "none"
	}
	return size(octets)
}

// size is a number of octets as a person reads it.
func size(octets int64) string {
	switch {
	case octets < 1e3:
		return strconv.FormatInt(octets, 10) + " B"
	case octets < 1e6:
		return fmt.Sprintf("%.1f kB", float64(octets)/1e3)
	case octets < 1e9:
		return fmt.Sprintf("%.1f MB", float64(octets)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(octets)/1e9)
}

func quota(q control.Quota) string {
	var parts []string
	if q.Octets > 0 {
		parts = append(parts, size(q.Octets))
	}
	if q.Messages > 0 {
		parts = append(parts, strconv.FormatInt(q.Messages, 10)+" messages")
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}
