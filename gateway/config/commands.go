package config

import (
	"flag"
	"fmt"
	"io"
	"strings"
)

// Command is what the program was asked to do: one word, or two.
type Command string

// The commands. Without one, Serve is meant.
const (
	Serve         Command = "serve"
	UserAdd       Command = "user add"
	UserPasswd    Command = "user passwd"
	UserRename    Command = "user rename"
	UserRemove    Command = "user remove"
	UserList      Command = "user list"
	UserQuota     Command = "user quota"
	UserFiles     Command = "user files"
	UserDisable   Command = "user disable"
	UserEnable    Command = "user enable"
	UserAdmin     Command = "user admin"
	AliasAdd      Command = "alias add"
	AliasRemove   Command = "alias remove"
	AliasList     Command = "alias list"
	CatchAll      Command = "catchall"
	QueueList     Command = "queue list"
	QueueShow     Command = "queue show"
	QueueRetry    Command = "queue retry"
	QueueHold     Command = "queue hold"
	QueueFree     Command = "queue release"
	QueueReturn   Command = "queue return"
	QueueDrop     Command = "queue drop"
	Backup        Command = "backup"
	Restore       Command = "restore"
	Fsck          Command = "fsck"
	DNS           Command = "dns"
	Import        Command = "import"
	Export        Command = "export"
	WorldFault    Command = "world fault"
	WorldClock    Command = "world clock"
	World         Command = "world"
	ConfigCheck   Command = "config check"
	ConfigExample Command = "config example"
	Version       Command = "version"
	Help          Command = "help"
)

// command is one thing that can be asked for. A row of this table is all that
// the parser and the usage text know of it.
type command struct {
	name        Command
	args        string // as usage shows them; those in brackets may be left out, and "..." may come more than once
	usage       string
	least, most int      // arguments; most of -1: any number
	flags       []string // of its own, see ownFlags
}

var commands = []command{
	{Serve, "", "serve the page, the tunnel and the embedded mail server", 0, 0, nil},
	{UserAdd, "ADDRESS [NAME]", "make an account; the password is read from standard input", 1, 2, nil},
	{UserPasswd, "ADDRESS", "change its password, read from standard input", 1, 1, nil},
	{UserRename, "ADDRESS NEW", "give it another address; mail, aliases and password stay", 2, 2, nil},
	{UserRemove, "ADDRESS", "remove it; one that has mail or files only --with-mail", 1, 1, []string{"with-mail"}},
	{UserList, "", "list the accounts", 0, 0, nil},
	{UserQuota, "ADDRESS SIZE|none [MESSAGES]", "bound its maildrop, such as 2GB", 2, 3, nil},
	{UserFiles, "ADDRESS SIZE|none|default", "bound what it may keep of files, or let the setting ftp-quota do so again", 2, 2, nil},
	{UserDisable, "ADDRESS", "let nobody sign in to it; mail still arrives", 1, 1, nil},
	{UserEnable, "ADDRESS", "let them again", 1, 1, nil},
	{UserAdmin, "ADDRESS", "let who has it look after the server from the page, or --off: no longer", 1, 1, []string{"off"}},
	{AliasAdd, "ADDRESS ACCOUNT...", "let an address stand for accounts", 2, -1, nil},
	{AliasRemove, "ADDRESS [ACCOUNT...]", "take some of them from it, or all", 1, -1, nil},
	{AliasList, "", "list aliases and catch-alls", 0, 0, nil},
	{CatchAll, "DOMAIN ACCOUNT|off", "give an account what nobody else of a domain gets", 2, 2, nil},
	{QueueList, "[DOMAIN]", "list what waits for other servers", 0, 1, nil},
	{QueueShow, "ID", "show all that is known of one of them", 1, 1, nil},
	{QueueRetry, "ID...|DOMAIN|all", "try now", 1, -1, nil},
	{QueueHold, "ID...|DOMAIN|all", "keep from being sent", 1, -1, nil},
	{QueueFree, "ID...|DOMAIN|all", "send what is held", 1, -1, nil},
	{QueueReturn, "ID...|DOMAIN|all", "give back to the senders, with a report; while the server runs", 1, -1, nil},
	{QueueDrop, "ID...|DOMAIN|all", "delete, without a word to the sender", 1, -1, nil},
	{DNS, "", "print what the domains publish in the DNS, ready to paste into a zone file: MX, SPF, DKIM, DMARC", 0, 0, nil},
	{Backup, "FILE|-", "write the data folder to a file, while the server runs", 1, 1, nil},
	{Restore, "FILE|-", "make a new data folder of a backup", 1, 1, nil},
	{Fsck, "", "look for inconsistencies, and --mend them; while no server runs", 0, 0, []string{"mend"}},
	{Import, "maildir|mbox PATH ACCOUNT", "put mail of another program into an account; PATH of an mbox may be -", 3, 3, nil},
	{Export, "maildir|mbox ACCOUNT PATH", "write an account's mail for another program", 3, 3, nil},
	{WorldFault, "DOMAIN|all FAULT|off", "let the way to a domain of the demo world fail, --for a time such as 10m: greylist, 4xx, 5xx, drop-data, drop-after, slow, down", 2, 2, []string{"for"}},
	{WorldClock, "RATE|jump TIME", "let the clock of the demo world go so many times as fast, or put it forward by a time such as 1h or 5d", 1, 2, nil},
	{World, "", "show the demo world: its servers, faults and clock", 0, 0, nil},
	{ConfigCheck, "", "say what is wrong with the settings and in which line, or what would be served; nothing is started", 0, 0, nil},
	{ConfigExample, "", "print a file of settings with every one of them, explained and with its default", 0, 0, nil},
	{Version, "", "print the version, and the hashes of the WebAssembly that is served", 0, 0, nil},
	{Help, "", "print this", 0, 0, nil},
}

// ownFlags are those of single commands; they are in no file and no variable.
func ownFlags(c *Config) []setting {
	return []setting{
		{"with-mail", "", (*toggle)(&c.WithMail)},
		{"off", "", (*toggle)(&c.Off)},
		{"mend", "", (*toggle)(&c.Mend)},
		{"for", "", (*span)(&c.For)},
	}
}

func (c command) String() string {
	return strings.TrimSpace("postern " + string(c.name) + " " + c.args)
}

// findCommand takes the command off the front of args.
func findCommand(args []string) (command, []string, error) {
	first := ""
	if len(args) > 0 {
		first = args[0]
	}
	switch first {
	case "-h", "-help", "--help":
		first = string(Help)
	case "-v", "-version", "--version":
		first = string(Version)
	}
	if first == "" || strings.HasPrefix(first, "-") {
		return commands[0], args, nil
	}
	var group []string // what may follow the first word
	for _, k := range commands {
		one, two, ok := strings.Cut(string(k.name), " ")
		switch {
		case one != first:
		case !ok:
			return k, args[1:], nil
		case len(args) > 1 && args[1] == two:
			return k, args[2:], nil
		default:
			group = append(group, two)
		}
	}
	if group != nil {
		return command{}, nil, &Error{Source: first, Reason: "is followed by one of " + strings.Join(group, ", ") + "; `postern help` explains them"}
	}
	return command{}, nil, &Error{Source: first, Reason: "is not a command; `postern help` lists them"}
}

// parse reads flags wherever they stand among the arguments, up to a "--".
func parse(flags *flag.FlagSet, args []string) (rest []string, err error) {
	flags.SetOutput(io.Discard)
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		left := flags.Args()
		if len(left) == 0 {
			return rest, nil
		}
		if n := len(args) - len(left); n > 0 && args[n-1] == "--" {
			return append(rest, left...), nil
		}
		rest, args = append(rest, left[0]), left[1:]
	}
}

// count sees that a command has its arguments.
func (k command) count(args []string) error {
	switch {
	case len(args) < k.least:
		return &Error{Reason: fmt.Sprintf("%s needs more than that: %s", k.name, k)}
	case k.most >= 0 && len(args) > k.most && k.most == 0:
		return &Error{Source: args[0], Reason: "is not a flag or a command here; `postern help` lists them"}
	case k.most >= 0 && len(args) > k.most:
		return &Error{Source: args[k.most], Reason: fmt.Sprintf("is one too many: %s", k)}
	}
	return nil
}
