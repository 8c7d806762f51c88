package view

import (
	"strconv"
	"strings"

	"github.com/postern-mail/postern/client/api"
)

// Route is a place of the page, as its address names it:
//
//	/inbox                  a folder
//	/inbox/12               a message in it, with the list beside it
//	/all                    the inboxes of all accounts together, and /all/12?account=ID a message in it
//	/drafts/12              a draft, in the composer
//	/search?q=tea&in=sent   a search in a folder (the inbox without in; in=all: all inboxes), and /search/12?q=tea a message found
//	/compose                a new message, and /compose/12 once it is draft 12
//	/wire                   what was said to an account's servers, with ?session=3 one connection's part of it, and with ?line=9 from
//	                        that line on
//	/server                 what waits at the account's mail server, and /server/12 a message of it
//	/files/SITE/path/       a folder of a file server
//	/files/new              a new file server, and /files/settings?site=SITE the settings of one
//	/accounts               folders, accounts and state, where one pane is shown at a time
//	/settings               the settings of an account
//
// With ?account=ID the place is another account's than the first.
type Route struct {
	Account api.AccountID
	All     bool // all accounts together; Account is then that of the message open
	Folder  api.FolderID
	ID      api.MessageID // 0: none is open
	Draft   api.MessageID // in the composer: the draft that it saves to
	Query   string
	Search  bool          // the search's own address, also while Query is empty
	Session uint64        // of /wire: the connection, 0 for all
	Line    uint64        // of /wire: the line that it is about, 0 for the last
	Row     int64         // of /server: the message that is shown
	Site    api.AccountID // of /files and /wire: the file server
	Path    api.FilePath  // of /files: the folder, empty for where one begins
	Page    Page
}

// Page says which pane the place is about.
type Page string

// The panes.
const (
	PageList     Page = "list"
	PageReader   Page = "reader"
	PageComposer Page = "composer"
	PageAccounts Page = "accounts"
	PageWire     Page = "wire"
	PageSettings Page = "settings"
	PageServer   Page = "server"
	PageFiles    Page = "files"
	PageSite     Page = "site"
)

// ParseRoute reads an address; one that means nothing is the inbox.
func ParseRoute(location string) Route {
	if i := strings.IndexByte(location, '#'); i >= 0 {
		location = location[:i]
	}
	path, query, _ := strings.Cut(location, "?")
	r := Route{Folder: api.Inbox, Page: PageList}
	in, all := api.Inbox, false
	var session, line uint64
	var site api.AccountID
	for pair := range strings.SplitSeq(query, "&") {
		k, v, _ := strings.Cut(pair, "=")
		v = unescape(v)
		switch k {
		case "q":
			r.Query = v
		case "in":
			all = v == "all"
			if isFolder(api.FolderID(v)) {
				in = api.FolderID(v)
			}
		case "session":
			session, _ = strconv.ParseUint(v, 10, 64)
		case "line":
			line, _ = strconv.ParseUint(v, 10, 64)
		case "site":
			site = api.AccountID(v)
		case "account":
			r.Account = api.AccountID(v)
		}
	}
	head, tail, _ := strings.Cut(strings.Trim(path, "/"), "/")
	switch {
	case head == "wire":
		r.Page, r.Query, r.Session, r.Line, r.Site = PageWire, "", session, line, site
		return r
	case head == "server":
		r.Page, r.Query = PageServer, ""
		id, _ := parseID(tail)
		r.Row = int64(id)
		return r
	case head == "files" && (tail == "new" || tail == "settings"):
		r.Page, r.Query = PageSite, ""
		if tail == "settings" {
			r.Site = site
		}
		return r
	case head == "files" && tail != "":
		r.Page, r.Query = PageFiles, ""
		r.Site, r.Path = parsePlace(strings.TrimPrefix(path, "/files/"))
		return r
	case head == "compose":
		r.Page, r.Query = PageComposer, ""
		r.Draft, _ = parseID(tail)
		return r
	case head == "accounts":
		r.Page, r.Query = PageAccounts, ""
		return r
	case head == "settings":
		r.Page, r.Query = PageSettings, ""
		return r
	case head == "search":
		r.Search, r.Folder, r.All = true, in, all
	case head == "all":
		r.All, r.Query = true, ""
	case isFolder(api.FolderID(head)):
		r.Folder, r.Query = api.FolderID(head), ""
	default:
		r.Query = ""
		return r
	}
	if id, ok := parseID(tail); ok {
		r.ID, r.Page = id, PageReader
	}
	return r
}

func parseID(s string) (api.MessageID, bool) {
	id, err := strconv.ParseUint(s, 10, 53)
	if err != nil || id == 0 {
		return 0, false
	}
	return api.MessageID(id), true
}

// parsePlace reads a site and the path of a folder there. The slash at the end is the address's, not the path's: with it, no
// folder looks like a file of the page's own.
func parsePlace(s string) (api.AccountID, api.FilePath) {
	site, path, _ := strings.Cut(s, "/")
	path = strings.TrimRight(path, "/")
	if !strings.Contains(s, "/") || path == "" && !strings.HasSuffix(s, "//") {
		return api.AccountID(unescape(site)), ""
	}
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(p, "+", "%2B")
		parts[i] = unescape(parts[i])
	}
	path = strings.Join(parts, "/")
	if first, rest, _ := strings.Cut(path, "/"); first == "~" { // see folderAddress
		return api.AccountID(unescape(site)), api.FilePath(rest)
	}
	return api.AccountID(unescape(site)), api.FilePath("/" + path)
}

// folderAddress is a folder's path in an address: that of one that does not begin at the root begins with "~".
func folderAddress(path api.FilePath) string {
	switch path {
	case "":
		return "/"
	case "/":
		return "//"
	}
	s := string(path)
	if s[0] != '/' {
		s = "/~/" + s
	}
	parts := strings.Split(s, "/")
	for i, p := range parts {
		parts[i] = escape(p)
	}
	return strings.TrimRight(strings.Join(parts, "/"), "/") + "/"
}

// String is the address of the place.
func (r Route) String() string {
	var b strings.Builder
	sep := byte('?')
	arg := func(k, v string) {
		b.WriteByte(sep)
		b.WriteString(k + "=" + escape(v))
		sep = '&'
	}
	switch {
	case r.Page == PageComposer:
		b.WriteString("/compose")
	case r.Page == PageAccounts:
		b.WriteString("/accounts")
	case r.Page == PageSettings:
		b.WriteString("/settings")
	case r.Page == PageWire:
		b.WriteString("/wire")
	case r.Page == PageServer:
		b.WriteString("/server")
	case r.Page == PageFiles:
		b.WriteString("/files/" + escape(string(r.Site)) + folderAddress(r.Path))
	case r.Page == PageSite && r.Site != "":
		b.WriteString("/files/settings")
		arg("site", string(r.Site))
	case r.Page == PageSite:
		b.WriteString("/files/new")
	case r.Search:
		b.WriteString("/search")
	case r.All:
		b.WriteString("/all")
	default:
		b.WriteString("/" + string(r.Folder))
	}
	switch {
	case r.Page == PageServer && r.Row != 0:
		b.WriteString("/" + strconv.FormatInt(r.Row, 10))
	case r.Page == PageComposer && r.Draft != 0:
		b.WriteString("/" + idText(r.Draft))
	case r.ID != 0 && r.ofMail():
		b.WriteString("/" + idText(r.ID))
	}
	if r.Search && r.ofMail() {
		arg("q", r.Query)
		if r.All {
			arg("in", "all")
		} else if r.Folder != api.Inbox {
			arg("in", string(r.Folder))
		}
	}
	if r.Account != "" {
		arg("account", string(r.Account))
	}
	if r.Page == PageWire && r.Site != "" {
		arg("site", string(r.Site))
	}
	if r.Page == PageWire && r.Session != 0 {
		arg("session", strconv.FormatUint(r.Session, 10))
	}
	if r.Page == PageWire && r.Line != 0 {
		arg("line", strconv.FormatUint(r.Line, 10))
	}
	return b.String()
}

// ofMail says that the place is a folder, a search or a message.
func (r Route) ofMail() bool {
	return r.Page != PageComposer && r.Page != PageAccounts && r.Page != PageSettings && r.Page != PageWire && r.Page != PageServer && r.Page != PageFiles && r.Page != PageSite
}

// place is what the list shows at the route: two routes of one place differ in the open message alone.
func (r Route) place() Route {
	p := Route{Account: r.Account, All: r.All, Folder: r.Folder, Query: r.Query, Search: r.Search, Page: PageList}
	if r.All {
		p.Account, p.Folder = "", api.Inbox
	}
	return p
}

func isFolder(f api.FolderID) bool {
	for _, x := range api.Folders {
		if x == f {
			return true
		}
	}
	return f == Archive || f == Junk
}

// escape percent-encodes all but the unreserved characters of RFC 3986 section 2.3, and @ and : which a query may hold.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~@:", c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// unescape undoes escape, and reads + as a space; what is no percent-encoding stays as it is.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
			b.WriteByte(byte(unhex(s[i+1])<<4 | unhex(s[i+2])))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
