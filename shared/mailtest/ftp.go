package mailtest

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	slash "path"
	"strconv"
	"strings"
	"sync"
)

// FTP is a server in memory: RFC 959 in passive mode, with RFC 2228 and 4217 (TLS), 2389 (FEAT), 2428 (EPSV), 2640 (UTF-8) and 3659
// (MLST, SIZE, MDTM, REST), and less if its fields say so. They are not to change while it serves. All users have the same files.
//
// Data connections are opened by [FTP.Dial], which is as good as a network of its own, or over loopback if TCP is set.
type FTP struct {
	Password map[string]string // by user
	TLS      *tls.Config       // offers AUTH TLS
	Implicit bool              // TLS begins with the first octet instead
	Reuse    bool              // data connections must resume the control connection's TLS session
	TCP      bool              // data connections come over loopback

	Greeting string // its lines, with codes and line ends; "" for a short one
	Host     string // that PASV names: "10,0,0,1"; "" for 127.0.0.1
	Account  bool   // PASS is answered by 332
	NoEPSV   bool   // an unknown command, as are the following
	NoFEAT   bool
	NoMLST   bool
	NoSize   bool
	NoMFMT   bool
	NoUTF8   bool // not announced
	NoPROT   bool
	Windows  bool // LIST is as of Windows
	Jealous  bool // RNTO replaces nothing, as of Windows
	Heedless bool // REST is taken, and what follows begins at the first octet all the same

	Unreachable bool    // Dial waits until its ctx ends
	NoNotice    bool    // data under TLS ends without notice
	Attentive   bool    // commands are read during transfers, and answered at once, as ProFTPD does; else after them, as vsftpd does
	DataFaults  *Faults // of what data connections carry to the client
	// Listing, if set, writes what LIST and MLSD give.
	Listing func(w io.Writer, mlsd bool)
	// Fault, if set, is asked before each reply what to do in its place; nil for nothing. stage is the command's verb in capitals;
	// "" for the greeting, "DONE" for the reply that ends a transfer. nth counts the stage's replies in the session, from 1.
	Fault func(stage string, nth int) *FTPFault

	Files *FTPFiles

	mu     sync.Mutex
	ports  map[int]chan net.Conn
	last   int
	dialed []int
}

// FTPFault is what a server does wrong.
type FTPFault struct {
	Reply  string // is said, as it is, line ends included; the command is not done
	Accept bool   // but the command is done: Reply takes the place of the first thing that is said about it
	Cut    bool   // the control connection is closed after it
	Stall  bool   // nothing more is said
}

// NewFTP returns a server with one user, bob, password bob-pw, and no files.
func NewFTP() *FTP {
	return &FTP{Password: map[string]string{"bob": "bob-pw"}, Files: NewFTPFiles()}
}

// ftpSession is one conversation.
type ftpSession struct {
	*FTP
	conn    net.Conn
	r       *bufio.Reader
	partial string // of a line, that was read during a transfer
	out     io.Writer
	user    string
	in      bool
	dir     string
	rename  string
	restart int64
	private bool
	accept  func() net.Conn // the data connection; nil if none is expected
	drop    func()
	count   map[string]int // of replies, by stage
}

// ServeConn implements Server.
func (f *FTP) ServeConn(conn net.Conn) {
	if f.Implicit {
		conn = tls.Server(conn, f.TLS)
	}
	s := &ftpSession{FTP: f, dir: "/", count: make(map[string]int), drop: func() {}}
	s.use(conn)
	defer func() { s.drop() }()
	if !s.faulty("", func() bool { return s.say(cmp.Or(f.Greeting, "220 ready\r\n")) }) {
		return
	}
	for {
		line, ok := s.line()
		if !ok {
			return
		}
		verb, arg, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(withoutSignals(verb))
		if !s.faulty(verb, func() bool { return s.command(verb, arg) }) {
			return
		}
	}
}

// withoutSignals leaves Telnet's signals out that a line begins with: IAC, IP and DM.
func withoutSignals(line string) string {
	for len(line) > 0 && (line[0] == 0xff || line[0] == 0xf4 || line[0] == 0xf2) {
		line = line[1:]
	}
	return line
}

func (s *ftpSession) use(conn net.Conn) { s.conn, s.r, s.out = conn, bufio.NewReader(conn), conn }

func (s *ftpSession) line() (string, bool) {
	line, err := s.r.ReadString('\n')
	line, s.partial = s.partial+line, ""
	return strings.TrimRight(line, "\r\n"), err == nil
}

// say says lines as they are.
func (s *ftpSession) say(text string) bool {
	_, err := io.WriteString(s.out, text)
	return err == nil
}

func (s *ftpSession) reply(format string, args ...any) bool {
	return s.say(fmt.Sprintf(format, args...) + "\r\n")
}

// faulty does a command, or what Fault wants instead; false ends the session.
func (s *ftpSession) faulty(stage string, do func() bool) bool {
	s.count[stage]++
	var f *FTPFault
	if s.Fault != nil {
		f = s.Fault(stage, s.count[stage])
	}
	if f == nil {
		return do()
	}
	goOn := true
	if f.Accept {
		said := &instead{w: s.out, reply: f.Reply}
		s.out = said
		goOn = do()
		if s.out == io.Writer(said) {
			s.out = said.w
		}
	} else {
		s.say(f.Reply)
	}
	if f.Stall {
		io.Copy(io.Discard, s.conn)
	}
	return goOn && !f.Stall && !f.Cut
}

// instead says something else than the first thing that it is told to say.
type instead struct {
	w     io.Writer
	reply string // "" once it is said
}

func (i *instead) Write(p []byte) (int, error) {
	if i.reply == "" {
		return i.w.Write(p)
	}
	_, err := io.WriteString(i.w, i.reply)
	i.reply = ""
	return len(p), err
}

// command answers one command; false ends the session.
func (s *ftpSession) command(verb, arg string) bool {
	if verb != "RNTO" {
		defer func(old string) {
			if s.rename == old {
				s.rename = "" // RNFR counts for the next command alone
			}
		}(s.rename)
	}
	switch {
	case verb == "QUIT":
		s.reply("221 bye")
		return false
	case verb == "NOOP":
		return s.reply("200 ok")
	case verb == "FEAT" && !s.NoFEAT:
		return s.say(s.features())
	case verb == "OPTS" && strings.EqualFold(arg, "UTF8 ON") && !s.NoUTF8:
		return s.reply("200 always")
	case verb == "AUTH" && s.TLS != nil && !s.Implicit && strings.EqualFold(arg, "TLS"):
		ok := s.reply("234 go ahead")
		s.use(tls.Server(s.conn, s.TLS))
		return ok
	case verb == "PBSZ" && s.TLS != nil:
		return s.reply("200 PBSZ=0")
	case verb == "PROT" && s.TLS != nil && !s.NoPROT:
		s.private = arg == "P"
		return s.reply("200 protected: %s", arg)
	case verb == "USER":
		s.user, s.in = arg, false
		return s.reply("331 password?")
	case verb == "PASS":
		return s.authorize(arg)
	case verb == "ABOR":
		return s.reply("225 nothing to abort")
	case !s.in:
		return s.reply("530 log in first")
	}
	return s.inside(verb, arg)
}

func (s *ftpSession) authorize(password string) bool {
	right, known := s.Password[s.user]
	switch {
	case !known || password != right:
		return s.reply("530 login incorrect")
	case s.Account:
		return s.reply("332 account?")
	}
	s.in = true
	return s.reply("230 logged in")
}

func (s *ftpSession) features() string {
	lines := []string{"PASV", "TVFS", "REST STREAM", "MDTM"}
	add := func(not bool, feature string) {
		if !not {
			lines = append(lines, feature)
		}
	}
	add(s.NoEPSV, "EPSV")
	add(s.NoMLST, "MLST type*;size*;modify*;")
	add(s.NoSize, "SIZE")
	add(s.NoMFMT, "MFMT")
	add(s.NoUTF8, "UTF8")
	add(s.TLS == nil, "AUTH TLS")
	add(s.TLS == nil, "PBSZ")
	add(s.TLS == nil, "PROT")
	return "211-features:\r\n " + strings.Join(lines, "\r\n ") + "\r\n211 end\r\n"
}

// inside answers what needs a login.
func (s *ftpSession) inside(verb, arg string) bool {
	at := s.path(arg)
	switch verb {
	case "EPSV":
		if s.NoEPSV {
			break
		}
		return s.reply("229 extended passive (|||%d|)", s.listen())
	case "PASV":
		port := s.listen()
		return s.reply("227 passive (%s,%d,%d).", cmp.Or(s.Host, "127,0,0,1"), port>>8, port&255)
	case "TYPE":
		return s.reply("200 type %s", arg)
	case "REST":
		s.restart, _ = strconv.ParseInt(arg, 10, 64)
		if s.Heedless {
			s.restart = 0
		}
		return s.reply("350 at %s", arg)
	case "LIST", "MLSD", "RETR", "STOR", "APPE":
		if verb == "MLSD" && s.NoMLST {
			break
		}
		if verb == "LIST" {
			at = s.path(strings.TrimPrefix(strings.TrimPrefix(arg, "-a"), " "))
		}
		return s.transfer(verb, at)
	case "PWD":
		return s.reply(`257 "%s" is where you are`, strings.ReplaceAll(s.dir, `"`, `""`))
	case "CWD", "CDUP":
		if verb == "CDUP" {
			at = slash.Dir(s.dir)
		}
		if n := s.Files.node(at); n == nil || !n.dir {
			return s.reply("550 %s: no such directory", arg)
		}
		s.dir = at
		return s.reply("250 done")
	case "RNFR":
		if s.Files.node(at) == nil {
			return s.reply("550 no such file")
		}
		s.rename = at
		return s.reply("350 to what?")
	case "RNTO":
		from := s.rename
		s.rename = ""
		if from == "" {
			return s.reply("503 RNFR first")
		}
		if s.Jealous && s.Files.node(at) != nil {
			return s.reply("550 file exists")
		}
		return s.answer(s.Files.rename(from, at), "250 renamed")
	}
	return s.about(verb, arg, at)
}

// about answers what is about one file.
func (s *ftpSession) about(verb, arg, at string) bool {
	n := s.Files.node(at)
	switch {
	case verb == "MKD":
		return s.answer(s.Files.mkdir(at), fmt.Sprintf(`257 "%s" made`, strings.ReplaceAll(at, `"`, `""`)))
	case verb == "RMD", verb == "DELE":
		return s.answer(s.Files.remove(at, verb == "RMD"), "250 removed")
	case verb == "MFMT" && !s.NoMFMT:
		stamp, name, _ := strings.Cut(arg, " ")
		return s.answer(s.Files.touch(s.path(name), stamp), "213 modify="+stamp+"; "+name)
	case verb == "SIZE" && !s.NoSize, verb == "MDTM", verb == "MLST" && !s.NoMLST:
	default:
		return s.reply("500 unknown command")
	}
	switch {
	case n == nil:
		return s.reply("550 %s: no such file", arg)
	case verb == "MLST":
		return s.say("250-listing\r\n " + n.facts(cmp.Or(arg, s.dir)) + "\r\n250 end\r\n")
	case n.dir:
		return s.reply("550 %s: is a directory", arg)
	case verb == "SIZE":
		return s.reply("213 %d", len(n.content))
	}
	return s.reply("213 %s", n.modified.UTC().Format("20060102150405"))
}

func (s *ftpSession) answer(err error, done string) bool {
	if err != nil {
		return s.reply("550 %v", err)
	}
	return s.reply("%s", done)
}

func (s *ftpSession) path(arg string) string {
	if !strings.HasPrefix(arg, "/") {
		arg = s.dir + "/" + arg
	}
	return slash.Clean(arg)
}
