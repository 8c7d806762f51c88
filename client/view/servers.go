package view

import (
	"strconv"
	"strings"

	"github.com/postern-mail/postern/client/api"
)

// ServersForm is how somebody says by hand where an account's servers are.
type ServersForm struct {
	pop3, smtp serverForm
	user       string // the login name at both, empty: the address
	touched    bool   // somebody changed something
	more       bool   // what hardly anybody needs is shown
}

type serverForm struct {
	host, port, security, auth string
	user                       string // where it differs from the other server's
	was                        api.Server
}

// usualPort is RFC 8314's for TLS, and else the one that every server has.
func usualPort(p api.Protocol, s api.Security) string {
	switch {
	case p == api.POP3 && s == api.TLS:
		return "995"
	case p == api.POP3:
		return "110"
	case s == api.TLS:
		return "465"
	}
	return "587"
}

// fill shows servers.
func (f *ServersForm) fill(s api.Servers) {
	f.pop3.fill(api.POP3, s.POP3)
	f.smtp.fill(api.SMTP, s.SMTP)
	f.user, f.smtp.user = s.POP3.User, ""
	if s.SMTP.User != s.POP3.User {
		f.smtp.user = s.SMTP.User
	}
	f.touched, f.more = false, s.POP3.Auth != "" || s.SMTP.Auth != "" || f.smtp.user != ""
}

func (f *serverForm) fill(p api.Protocol, s api.Server) {
	f.was = s
	if s.Security == "" {
		s.Security = api.TLS
	}
	f.host, f.security, f.auth, f.port = s.Host, string(s.Security), s.Auth, strconv.Itoa(s.Port)
	if s.Port == 0 {
		f.port = usualPort(p, s.Security)
	}
}

// read is what the form says, or what is wrong with it.
func (f *ServersForm) read() (s api.Servers, wrong wrongField) {
	if s.POP3, wrong = f.pop3.read(api.POP3, f.user); wrong.why != "" {
		return s, wrong
	}
	user := strings.TrimSpace(f.smtp.user)
	if user == "" {
		user = f.user
	}
	s.SMTP, wrong = f.smtp.read(api.SMTP, user)
	return s, wrong
}

func (f *serverForm) read(p api.Protocol, user string) (api.Server, wrongField) {
	s := api.Server{Host: strings.ToLower(strings.Trim(strings.TrimSpace(f.host), "[]")), Security: api.Security(f.security), User: strings.TrimSpace(user), Auth: f.auth}
	id := "setup-" + string(p)
	what := "incoming"
	if p == api.SMTP {
		what = "outgoing"
	}
	if s.Host == "" {
		return s, wrongField{id + "-host", "Enter the name of the server for " + what + " mail"}
	}
	if strings.ContainsAny(s.Host, " /@,;\"'") {
		return s, wrongField{id + "-host", "“" + s.Host + "” is not the name of a server: it looks like “mail.example.org”"}
	}
	n, err := strconv.ParseUint(strings.TrimSpace(f.port), 10, 16)
	if err != nil || n == 0 {
		return s, wrongField{id + "-port", "A port is a number from 1 to 65535"}
	}
	s.Port = int(n)
	if s.Host == f.was.Host { // another server has another certificate
		s.Pin = f.was.Pin
	}
	return s, wrongField{}
}

// pin believes one certificate of the server that is there now.
func (f *ServersForm) pin(p api.Protocol, fingerprint string) {
	x := &f.pop3
	if p == api.SMTP {
		x = &f.smtp
	}
	x.was.Host, x.was.Pin = strings.ToLower(strings.Trim(strings.TrimSpace(x.host), "[]")), fingerprint
}

var securities = []Option{{string(api.TLS), "TLS"}, {string(api.STARTTLS), "STARTTLS"}, {string(api.Plain), "None"}}

// The ways to log in that both have.
var mechanisms = []Option{{"", "Automatic: the safest there is"}, {"SCRAM-SHA-256", "SCRAM-SHA-256"}, {"CRAM-MD5", "CRAM-MD5"}, {"PLAIN", "PLAIN"}, {"LOGIN", "LOGIN"}}

const readAlong = "Everybody on the way can read the password and every message: whoever runs the network you are in, and this page's gateway."

// sections are the form. What hardly anybody needs is shown when somebody asks for it.
func (f *ServersForm) sections(a *App) []Section {
	login := Section{ID: "login", Title: "Logging in", Fields: []Field{{ID: "setup-user", Label: "Login name", Kind: TextField, Value: &f.user, Example: "the address", Hint: "Only if it is not the address", Changed: f.touch}}}
	if f.more {
		login.Fields = append(login.Fields,
			Field{ID: "setup-smtp-user", Label: "Login name, outgoing", Kind: TextField, Value: &f.smtp.user, Example: "the same", Changed: f.touch},
			Field{ID: "setup-pop3-auth", Label: "Way to log in, incoming", Kind: ChoiceField, Value: &f.pop3.auth, Options: append(mechanisms[:len(mechanisms):len(mechanisms)], Option{"APOP", "APOP"}, Option{"USER", "USER and PASS"}), Changed: f.touch},
			Field{ID: "setup-smtp-auth", Label: "Way to log in, outgoing", Kind: ChoiceField, Value: &f.smtp.auth, Options: mechanisms, Changed: f.touch})
	} else {
		login.Actions = []Action{{ID: "setup-more", Label: "More settings", Do: func() {
			f.more = true
			a.platform.Focus(`[data-testid="setup-smtp-user"]`)
		}}}
	}
	return []Section{
		{ID: "pop3", Title: "Incoming mail (POP3)", Fields: f.pop3.fields(f, api.POP3, "pop.example.org")},
		{ID: "smtp", Title: "Outgoing mail (SMTP)", Fields: f.smtp.fields(f, api.SMTP, "smtp.example.org")},
		login,
	}
}

func (f *ServersForm) touch(string) { f.touched = true }

func (f *serverForm) fields(form *ServersForm, p api.Protocol, example string) []Field {
	id := "setup-" + string(p)
	hint := ""
	if f.security == string(api.Plain) {
		hint = readAlong
	}
	return []Field{
		{ID: id + "-host", Label: "Server", Kind: TextField, Value: &f.host, Example: example, Changed: form.touch},
		{ID: id + "-security", Label: "Security", Kind: ChoiceField, Value: &f.security, Options: securities, Hint: hint, Loud: true, Changed: func(was string) {
			form.touch(was)
			if f.port == "" || f.port == usualPort(p, api.Security(was)) {
				f.port = usualPort(p, api.Security(f.security))
			}
		}},
		{ID: id + "-port", Label: "Port", Kind: NumberField, Value: &f.port, Changed: form.touch},
	}
}

// serverWords names a server as people write it.
func serverWords(s api.Server) string {
	if s.Host == "" {
		return "this gateway’s own server"
	}
	w := map[api.Security]string{api.TLS: "TLS", api.STARTTLS: "STARTTLS"}[s.Security]
	if w == "" {
		w = "not encrypted"
	}
	return s.Host + ":" + strconv.Itoa(s.Port) + " (" + w + ")"
}
