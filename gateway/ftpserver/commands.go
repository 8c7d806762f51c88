package ftpserver

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// command is a verb: who may say it, and who answers.
type command struct {
	open    bool                               // before the login
	during  bool                               // while a transfer is under way
	argued  bool                               // it needs an argument
	run     func(s *session, arg string) error // nil: the library answers
	is      string                             // what the library calls it, if it is another verb
	carries bool                               // over a data connection
	between bool                               // REST holds over it
}

var commands map[string]command

func init() { // the handlers name the table: not a cycle that the compiler lets pass
	commands = map[string]command{
		"AUTH": {open: true, argued: true, run: (*session).auth},
		"PBSZ": {open: true, argued: true, run: (*session).pbsz, between: true},
		"PROT": {open: true, argued: true, run: (*session).prot, between: true},
		"USER": {open: true, argued: true, run: (*session).userName},
		"PASS": {open: true, run: (*session).pass},
		"QUIT": {open: true},
		"NOOP": {open: true, between: true},
		"SYST": {open: true},
		"CLNT": {open: true, argued: true, run: (*session).clnt, between: true},
		"FEAT": {open: true, run: (*session).feat, between: true},
		"OPTS": {open: true, argued: true, run: (*session).opts, between: true},
		"HELP": {open: true, run: (*session).help},
		"STAT": {during: true, run: (*session).stat, between: true},
		"ABOR": {during: true, run: (*session).abor},
		"ACCT": {argued: true, run: (*session).superfluous},
		"ALLO": {argued: true, run: (*session).superfluous},
		"TYPE": {argued: true, run: (*session).typed, between: true},
		"MODE": {argued: true, run: (*session).mode, between: true},
		"STRU": {argued: true, run: (*session).stru, between: true},

		"PASV": {run: (*session).pasv, between: true},
		"EPSV": {run: (*session).epsv, between: true},
		"PORT": {argued: true, run: (*session).port, between: true},
		"EPRT": {argued: true, run: (*session).eprt, between: true},

		"RETR": {argued: true, carries: true},
		"STOR": {argued: true, carries: true},
		"APPE": {argued: true, carries: true},
		"LIST": {carries: true},
		"NLST": {carries: true},
		"MLSD": {carries: true},

		"REST": {argued: true, run: (*session).rest},
		"RNFR": {argued: true},
		"RNTO": {argued: true},
		"DELE": {argued: true},
		"SIZE": {argued: true},
		"MDTM": {argued: true},
		"MFMT": {argued: true},
		"MLST": {},
		"AVBL": {},
		"CWD":  {argued: true},
		"XCWD": {argued: true},
		"CDUP": {},
		"XCUP": {is: "CDUP"},
		"PWD":  {},
		"XPWD": {},
		"MKD":  {argued: true},
		"XMKD": {argued: true},
		"RMD":  {argued: true},
		"XRMD": {argued: true},
	}
}

// features are what FEAT lists (RFC 2389); the facts of MLST are RFC 3659 section 7.8's.
var features = []string{
	"AUTH TLS", "AVBL", "CLNT", "EPRT", "EPSV", "MDTM", "MFMT", "MLST Type*;Size*;Modify*;", "PBSZ", "PROT", "REST STREAM", "SIZE", "TVFS", "UTF8",
}

// interrupt is Telnet's (IAC IP, IAC DM), which some clients put before ABOR (RFC 959 section 4.1.3). No verb has these octets.
const interrupt = "\xff\xf4\xf2"

// command is one line of the client's.
func (s *session) command(line string) error {
	for line != "" && strings.IndexByte(interrupt, line[0]) >= 0 {
		line = line[1:]
	}
	verb, arg, _ := strings.Cut(line, " ")
	verb = strings.ToUpper(verb)
	c, known := commands[verb]
	if t := s.current(); t != nil && !c.during {
		<-t.done // answers come in order
		if err := s.ending(); err != nil {
			return err
		}
	}
	before, found := s.last, s.lastCode()
	s.last = verb
	from := s.from
	if !c.between { // or it would lead what comes after a transfer that was refused into the middle of another file
		s.from = 0
	}
	switch {
	case !known:
		return s.bad(502, "there is no such command here")
	case !c.open && !s.loggedIn():
		return s.bad(530, "sign in first, with USER and PASS")
	case c.argued && arg == "":
		return s.bad(501, "%s needs an argument", verb)
	case verb != "PASS" && !utf8.ValidString(arg):
		return s.bad(501, "that is not UTF-8")
	case verb != "PASS" && strings.ContainsFunc(arg, unicode.IsControl) || strings.ContainsRune(arg, 0):
		return s.bad(501, "that has a control character")
	case verb == "RNTO" && (before != "RNFR" || found != pending):
		return s.bad(503, "RNFR comes right before RNTO")
	case c.carries:
		return s.prepare(verb, arg, from)
	case c.run != nil:
		return c.run(s, arg)
	}
	if c.is != "" {
		verb = c.is
	}
	s.forward(verb, arg)
	return nil
}

// pending is the answer to an RNFR that has found something.
const pending = "350"

// lastCode is that of the answer before this command.
func (s *session) lastCode() string {
	s.out.Lock()
	defer s.out.Unlock()
	return s.code
}

// forward gives the library a command.
func (s *session) forward(verb, arg string) {
	s.errors = 0
	line := verb
	if arg != "" {
		line += " " + arg
	}
	s.feed = []byte(line + "\r\n")
}

// auth is RFC 4217 section 4.
func (s *session) auth(arg string) error {
	switch arg = strings.ToUpper(arg); {
	case s.srv.cfg.TLS == nil:
		return s.bad(502, "this server has no TLS")
	case !slices.Contains([]string{"TLS", "TLS-C", "SSL"}, arg): // SSL is what some clients call it
		return s.bad(504, "AUTH TLS is what there is")
	case s.encrypted():
		return s.bad(503, "TLS is on already")
	case s.loggedIn():
		return s.bad(503, "AUTH comes before the login")
	}
	s.named = false // what was said in the clear may have been said by another
	s.reply(234, "begin TLS")
	if err := s.startTLS(); err != nil {
		s.log.Debug("ftp: TLS handshake failed", "error", err)
		return errOver
	}
	return nil
}

func (s *session) pbsz(string) error {
	if !s.encrypted() {
		return s.bad(503, "AUTH TLS comes first")
	}
	s.reply(200, "PBSZ=0") // whatever was asked for: TLS has no other (RFC 4217 section 8)
	return nil
}

func (s *session) prot(arg string) error {
	switch arg = strings.ToUpper(arg); {
	case !s.encrypted():
		return s.bad(503, "AUTH TLS comes first")
	case arg == "P", arg == "C":
		s.protected = arg == "P"
		s.reply(200, "PROT %s", arg)
		return nil
	}
	return s.bad(536, "PROT P and PROT C are what there is")
}

const needTLS = "a password is taken only over TLS: say AUTH TLS first"

func (s *session) userName(arg string) error {
	switch {
	case s.loggedIn():
		return s.bad(503, "you are signed in already")
	case !s.secret():
		return s.bad(530, needTLS)
	}
	s.named = true
	s.forward("USER", arg)
	return nil
}

func (s *session) pass(arg string) error {
	switch {
	case s.loggedIn():
		return s.bad(503, "you are signed in already")
	case !s.secret():
		return s.bad(530, needTLS)
	case !s.named:
		return s.bad(503, "USER comes before PASS")
	}
	s.named = false
	s.forward("PASS", arg)
	return nil
}

func (s *session) clnt(string) error {
	s.reply(200, "good to know")
	return nil
}

func (s *session) feat(string) error {
	var b strings.Builder
	b.WriteString("211-features:\r\n")
	for _, f := range features {
		if s.srv.cfg.TLS == nil && slices.Contains([]string{"AUTH TLS", "PBSZ", "PROT"}, f) {
			continue
		}
		b.WriteString(" " + f + "\r\n")
	}
	b.WriteString("211 end")
	s.out.Lock()
	defer s.out.Unlock()
	s.errors = 0
	s.send(b.String())
	return nil
}

func (s *session) opts(arg string) error {
	what, value, _ := strings.Cut(arg, " ")
	switch what = strings.ToUpper(what); {
	case what == "UTF8" && !strings.EqualFold(value, "OFF"):
		s.reply(200, "names are UTF-8")
	case what == "MLST":
		s.reply(200, "MLST OPTS Type;Size;Modify;") // all that there are, whichever are asked for
	default:
		return s.bad(501, "there is no such option")
	}
	return nil
}

func (s *session) help(string) error {
	s.reply(214, "FEAT says what this server can do; the rest is RFC 959")
	return nil
}

// stat says how far the transfer is (RFC 959 section 4.1.3).
func (s *session) stat(arg string) error {
	t := s.current()
	switch {
	case arg != "":
		return s.bad(504, "MLST and MLSD tell more of files")
	case t != nil:
		s.reply(213, "a transfer is under way, %d octets up to now", t.channel.octets.Load())
	default:
		s.reply(211, "all is well")
	}
	return nil
}

// abor ends the transfer that is under way, or was to begin.
func (s *session) abor(string) error {
	s.unprepare()
	if t := s.current(); t != nil {
		t.abort()
		<-t.done // says 426
	}
	s.reply(226, "nothing is under way any more")
	return nil
}

func (s *session) superfluous(string) error {
	s.reply(202, "not needed here")
	return nil
}

// typed is TYPE. Files travel as they are, whatever it says.
func (s *session) typed(arg string) error {
	switch strings.ReplaceAll(strings.ToUpper(arg), " ", "") {
	case "I", "L8":
		s.reply(200, "files travel as they are")
	case "A", "AN":
		s.reply(200, "very well, but files travel as they are")
	default:
		return s.bad(504, "TYPE I is what there is")
	}
	return nil
}

func (s *session) mode(arg string) error {
	if !strings.EqualFold(arg, "S") {
		return s.bad(504, "MODE S is what there is")
	}
	s.reply(200, "stream")
	return nil
}

func (s *session) stru(arg string) error {
	if !strings.EqualFold(arg, "F") {
		return s.bad(504, "STRU F is what there is")
	}
	s.reply(200, "file")
	return nil
}

// rest is RFC 3659 section 5: an octet of the file that the next transfer begins at. It is no matter of the library's, which keeps
// it for whichever transfer comes to be some time.
func (s *session) rest(arg string) error {
	n, err := strconv.ParseUint(arg, 10, 62)
	if err != nil {
		return s.bad(501, "REST needs a number of octets")
	}
	s.from = int64(n)
	s.reply(350, "the next transfer begins at octet %d", n)
	return nil
}
