package view

import (
	"context"
	"strconv"
	"strings"

	"github.com/postern-mail/postern/client/api"
)

// SiteForm is where a file server is added, and where it is changed.
type SiteForm struct {
	Site    api.AccountID // empty: a new one
	Busy    bool
	Problem *api.Problem

	app      *App
	shown    bool
	was      api.Server
	label    string
	host     string
	port     string
	security string
	user     string
	password string
	keep     bool
	wrong    wrongField
	turn     int
}

// AddServer shows the form for a new file server.
func (a *App) AddServer() { a.Go(Route{Page: PageSite}) }

// EditServer shows the form for one that there is.
func (a *App) EditServer(id api.AccountID) { a.Go(Route{Page: PageSite, Site: id}) }

// open shows a site; empty is a new one.
func (f *SiteForm) open(id api.AccountID) {
	s := f.app.Site(id)
	if f.shown && f.Site == s.ID {
		return
	}
	f.turn++
	*f = SiteForm{Site: s.ID, app: f.app, turn: f.turn, shown: true, was: s.Server, label: s.Label, host: s.Server.Host, user: s.Server.User, keep: s.ID == "" || s.Kept, security: string(s.Server.Security)}
	if f.security == "" {
		f.security = string(api.STARTTLS)
	}
	if f.port = strconv.Itoa(s.Server.Port); s.Server.Port == 0 {
		f.port = ftpPort(f.security)
	}
	switch {
	case s.ID != "" && !s.HasPassword:
		f.app.platform.Focus(`[data-testid="site-password"]`)
	case s.ID == "":
		f.app.platform.Focus(`[data-testid="site-host"]`)
	default:
		f.app.platform.Focus(`[data-testid="site-form"] input`)
	}
}

func (f *SiteForm) close() { *f = SiteForm{app: f.app, turn: f.turn + 1} }

// Title is the form's.
func (f *SiteForm) Title() string {
	if f.Site == "" {
		return "Add a file server"
	}
	return "Settings of " + SiteLabel(f.app.Site(f.Site))
}

// Verb is what its button says.
func (f *SiteForm) Verb() string {
	switch {
	case f.Busy:
		return "Connecting…"
	case f.Site == "":
		return "Connect"
	}
	return "Save"
}

func (f *SiteForm) own() bool { return f.Site != "" && f.was.Host == "" }

// ftpPort is RFC 4217's for TLS from the first octet, and else FTP's own.
func ftpPort(security string) string {
	if security == string(api.TLS) {
		return "990"
	}
	return "21"
}

var ftpSecurities = []Option{{string(api.STARTTLS), "TLS"}, {string(api.TLS), "TLS from the start (FTPS)"}, {string(api.Plain), "None"}}

// Sections are the form.
func (f *SiteForm) Sections() []Section {
	loud := ""
	if f.security == string(api.Plain) {
		loud = filesReadAlong
	}
	example := ""
	if f.Site != "" && f.app.Site(f.Site).HasPassword {
		example = "the one it has"
	}
	where := Section{ID: "where", Title: "Where", Fields: []Field{
		{ID: "site-host", Label: "Server", Kind: TextField, Value: &f.host, Example: "ftp.example.org"},
		{ID: "site-security", Label: "Security", Kind: ChoiceField, Value: &f.security, Options: ftpSecurities, Hint: loud, Loud: true, Changed: func(was string) {
			if f.port == "" || f.port == ftpPort(was) {
				f.port = ftpPort(f.security)
			}
		}},
		{ID: "site-port", Label: "Port", Kind: NumberField, Value: &f.port},
	}}
	who := Section{ID: "who", Title: "Who", Fields: []Field{
		{ID: "site-user", Label: "User name", Kind: TextField, Auto: "username", Value: &f.user, Example: "anonymous"},
		{ID: "site-password", Label: "Password", Kind: PasswordField, Auto: "current-password", Value: &f.password, Example: example, Wrong: f.Problem != nil && f.Problem.Code == api.CodeWrongPassword},
		{ID: "site-keep", Label: "Keep the password on this device, encrypted", Kind: ToggleField, On: &f.keep},
	}}
	name := Section{ID: "name", Title: "Name", Fields: []Field{{ID: "site-label", Label: "What it is called here", Kind: TextField, Value: &f.label, Hint: "Empty: the user and the server"}}}
	list := []Section{where, who, name}
	if f.own() {
		name.Fields[0].Hint = "Empty: " + SiteLabel(api.Site{Server: f.was})
		name.Words = "It is this gateway’s own server: name and password are those of your mail."
		list = []Section{name}
	}
	if f.Site != "" {
		list = append(list, Section{ID: "remove", Title: "Remove this server", Actions: []Action{
			{ID: "site-remove", Label: "Remove…", Hint: "Takes it off this device. What is on the server stays there.", Bad: true, Do: func() { f.app.RemoveSite(f.Site, `[data-testid="site-remove"]`) }},
		}})
	}
	return f.wrong.marked(list)
}

// hostName is the server's name, as people paste it.
func (f *SiteForm) hostName() string {
	host := strings.ToLower(strings.TrimSpace(f.host))
	host = strings.TrimPrefix(strings.TrimPrefix(host, "ftp://"), "ftps://")
	host, _, _ = strings.Cut(host, "/")
	return strings.Trim(host, "[]")
}

// read is what the form says, or what is wrong with it.
func (f *SiteForm) read() (r api.AddSite, wrong wrongField) {
	r = api.AddSite{Site: f.Site, Label: strings.TrimSpace(f.label), Password: f.password, Keep: f.keep}
	if f.own() {
		r.Server = f.was
		r.Keep = f.app.Site(f.Site).Kept
		return r, wrong
	}
	if host, port, ok := strings.Cut(f.hostName(), ":"); ok && !strings.Contains(port, ":") { // and no address of IPv6
		f.host, f.port = host, port
	}
	s := api.Server{Host: f.hostName(), Security: api.Security(f.security), User: strings.TrimSpace(f.user)}
	if s.Host == "" {
		return r, wrongField{"site-host", "Enter the name of the server"}
	}
	if strings.ContainsAny(s.Host, " /@,;\"'") {
		return r, wrongField{"site-host", "“" + s.Host + "” is not the name of a server: it looks like “ftp.example.org”"}
	}
	n, err := strconv.ParseUint(strings.TrimSpace(f.port), 10, 16)
	if err != nil || n == 0 {
		return r, wrongField{"site-port", "A port is a number from 1 to 65535"}
	}
	s.Port = int(n)
	if s.User == "" {
		s.User = "anonymous"
		if r.Password == "" {
			r.Password = "anonymous@" // RFC 1635: any will do
		}
	}
	if r.Password == "" && (f.Site == "" || !f.app.Site(f.Site).HasPassword || s.Host != f.was.Host || s.User != f.was.User) {
		return r, wrongField{"site-password", "Enter the password"}
	}
	if s.Host == f.was.Host { // another server has another certificate
		s.Pin = f.was.Pin
	}
	r.Server = s
	return r, wrong
}

// Save has the server asked, and the site added or changed when it has agreed.
func (f *SiteForm) Save() {
	if f.Busy {
		return
	}
	r, wrong := f.read()
	if f.wrong = wrong; wrong.why != "" {
		f.app.Voice.Cry(wrong.why)
		f.app.platform.Focus(`[data-testid="` + wrong.id + `"]`)
		return
	}
	f.Busy, f.Problem = true, nil
	f.app.Voice.Say("Connecting to " + r.Server.Host + "…")
	turn := f.turn
	var s api.Site
	f.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		s, err = svc.AddSite(ctx, r)
		return err
	}, func(p *api.Problem) {
		if p == nil {
			f.app.siteChanged(s)
		}
		if turn != f.turn {
			return
		}
		f.Busy = false
		if p != nil {
			f.failed(p)
			return
		}
		f.close()
		f.app.swap(Route{Page: PageFiles, Site: s.ID})
	})
}

func (f *SiteForm) failed(p *api.Problem) {
	f.Problem = p
	f.app.Voice.Cry(FileWords(p).Title)
	switch {
	case p.Certificate != nil:
		f.app.Trust.ask(p.Certificate, func(fingerprint string) {
			f.was.Host, f.was.Pin = f.hostName(), fingerprint
			f.Save()
		})
	case p.Code == api.CodeWrongPassword:
		f.app.platform.Focus(`[data-testid="site-password"]`)
	}
}

// Leave goes back.
func (f *SiteForm) Leave() {
	site := f.Site
	f.close()
	to := f.app.List.place
	if site != "" {
		to = Route{Page: PageFiles, Site: site}
	}
	f.app.leave(to)
}
