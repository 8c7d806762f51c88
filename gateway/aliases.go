package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/postern-mail/postern/gateway/config"
)

func aliasAdd(ctx context.Context, admin administrator, c config.Config, _ environment) error {
	return admin.AddAlias(ctx, c.Args[0], c.Args[1:])
}

func aliasRemove(ctx context.Context, admin administrator, c config.Config, _ environment) error {
	return admin.RemoveAlias(ctx, c.Args[0], c.Args[1:])
}

func aliasList(ctx context.Context, admin administrator, _ config.Config, env environment) error {
	all, err := admin.Aliases(ctx)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ADDRESS\tACCOUNTS")
	for _, a := range all.Aliases {
		fmt.Fprintf(t, "%s\t%s\n", a.Address, strings.Join(a.Accounts, " "))
	}
	for _, c := range all.CatchAlls {
		fmt.Fprintf(t, "*@%s\t%s\n", c.Domain, c.Account)
	}
	return t.Flush()
}

func catchAll(ctx context.Context, admin administrator, c config.Config, _ environment) error {
	account := c.Args[1]
	if account == config.Off {
		account = ""
	}
	return admin.SetCatchAll(ctx, c.Args[0], account)
}
