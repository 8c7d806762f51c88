package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/gateway/mailserver"
	"github.com/postern-mail/postern/gateway/mailserver/controld"
	"github.com/postern-mail/postern/shared/control"
)

// administrator is who carries out what a command asks for: the server that
// runs, or this program itself.
type administrator interface {
	control.Operations
	control.Queue
	io.Closer
}

// commands are those that an administrator carries out. They print what a person
// wants to know, and nothing else to standard output.
var commands = map[config.Command]func(context.Context, administrator, config.Config, environment) error{
	config.UserAdd:     userAdd,
	config.UserPasswd:  userPasswd,
	config.UserRename:  userRename,
	config.UserRemove:  userRemove,
	config.UserList:    userList,
	config.UserQuota:   userQuota,
	config.UserFiles:   userFiles,
	config.UserDisable: userDisable,
	config.UserEnable:  userDisable,
	config.UserAdmin:   userAdmin,
	config.AliasAdd:    aliasAdd,
	config.AliasRemove: aliasRemove,
	config.AliasList:   aliasList,
	config.CatchAll:    catchAll,
	config.QueueList:   queueList,
	config.QueueShow:   queueShow,
	config.QueueRetry:  queueChange,
	config.QueueHold:   queueChange,
	config.QueueFree:   queueChange,
	config.QueueReturn: queueChange,
	config.QueueDrop:   queueChange,
	config.World:       showWorld,
	config.WorldFault:  worldFault,
	config.WorldClock:  worldClock,
	config.Backup:      backup,
	config.Import:      importMail,
	config.Export:      exportMail,
}

// administer carries out a command.
func administer(ctx context.Context, c config.Config, env environment) error {
	admin, err := findAdministrator(ctx, c, env)
	if err != nil {
		return err
	}
	return errors.Join(commands[c.Command](ctx, admin, c, env), admin.Close())
}

// findAdministrator asks for the server that runs on the data folder, and else
// opens the folder. Only the first account makes a folder: elsewhere a wrong name
// is an error.
func findAdministrator(ctx context.Context, c config.Config, env environment) (administrator, error) {
	client, err := controld.Dial(ctx, c.Data)
	if err == nil {
		return client, nil
	}
	if !errors.Is(err, controld.ErrNoServer) {
		return nil, fmt.Errorf("the gateway that runs on %s cannot be asked: %w", c.Data, err)
	}
	if _, err := os.Stat(c.Data); errors.Is(err, fs.ErrNotExist) && c.Command != config.UserAdd {
		return nil, fmt.Errorf("there is no data folder %s; --data names it (or POSTERN_DATA)", c.Data)
	}
	admin, err := mailserver.Administer(ctx, mailserver.Config{Dir: c.Data, Domains: c.Domains, Files: filesOf(c.Data),
		Logger: slog.New(slog.NewTextHandler(env.stderr, &slog.HandlerOptions{Level: max(c.LogLevel, slog.LevelWarn)}))})
	if errors.Is(err, mailserver.ErrDataInUse) {
		return nil, fmt.Errorf("%w\nIt has no socket in that folder to be asked by", err)
	}
	return admin, err
}

// maxPassword bounds the line that is read as a password.
const maxPassword = 1024

// readPassword reads the first line of standard input.
func readPassword(email string, env environment) (string, error) {
	fmt.Fprintf(env.stderr, "Password for %s: ", email)
	line, err := bufio.NewReader(io.LimitReader(env.stdin, maxPassword+2)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	password := strings.TrimRight(line, "\r\n")
	if password == "" || len(password) > maxPassword {
		return "", fmt.Errorf("the password must have 1 to %d octets", maxPassword)
	}
	return password, nil
}
