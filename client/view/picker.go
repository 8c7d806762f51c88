package view

import "github.com/postern-mail/postern/client/api"

// Picker is the sheet in which a file of a server is chosen, or a folder.
type Picker struct {
	Folder
	Asked  bool
	What   Picked
	Title  string
	Verb   string       // what the button says
	From   api.FilePath // the folder that something leaves for another one of its site; empty if it comes from elsewhere
	Chosen map[api.FilePath]api.File

	back string
	do   func(site api.AccountID, folder api.FilePath, files []api.File)
}

// Picked is what is chosen in a Picker.
type Picked int

// What can be chosen.
const (
	PickFiles  Picked = iota // files: one or several
	PickFolder               // the folder that is shown
)

// lastPlaceKey is where the folder chosen last is kept on this device, of each site.
const lastSiteKey = "files-site"

// ask opens the sheet at a folder; at a site "" it begins where it was last.
func (p *Picker) ask(what Picked, title, verb string, site api.AccountID, at api.FilePath, do func(api.AccountID, api.FilePath, []api.File)) {
	a := p.app
	if site == "" {
		site = api.AccountID(a.platform.Preference(lastSiteKey))
	}
	if a.Site(site).ID == "" {
		if len(a.Sites) == 0 {
			if list := a.Offered(); len(list) > 0 {
				back := p.back
				a.takeOffer(list[0].ID, func(s api.Site) {
					p.ask(what, title, verb, s.ID, "", do)
					p.back = back
				})
			} else {
				a.Go(Route{Page: PageSite})
			}
			return
		}
		site, at = a.Sites[0].ID, ""
	}
	p.Asked, p.What, p.Title, p.Verb, p.do, p.From, p.Chosen = true, what, title, verb, do, "", nil
	p.Sort, p.Descending, p.focus = api.SortName, false, true
	p.open(site, at, "")
	a.Voice.Say(title)
}

// Go shows another folder in the sheet.
func (p *Picker) Go(path api.FilePath) {
	p.Chosen, p.focus = nil, true
	p.open(p.Site, path, "")
}

// SetSite shows another server's files in the sheet.
func (p *Picker) SetSite(id api.AccountID) {
	p.Chosen = nil
	p.open(id, "", "")
}

// GoUp shows the folder above.
func (p *Picker) GoUp() {
	if up, ok := p.Up(); ok {
		p.come, p.Chosen, p.focus = p.Path, nil, true
		p.open(p.Site, up, p.Path)
	}
}

// Takes says whether an entry can be chosen, or gone into.
func (p *Picker) Takes(x api.File) bool {
	return x.Usable && (x.Kind == api.KindFolder || x.Kind == api.KindLink || p.What == PickFiles && x.Kind == api.KindFile)
}

// Press is a click on an entry, or Enter: it goes into a folder, and chooses a file or lets it go.
func (p *Picker) Press(i int) {
	x, ok := p.Row(i)
	if !ok || !p.Takes(x) {
		return
	}
	p.SetCursor(i)
	if x.Kind != api.KindFile {
		p.Go(x.Path)
		return
	}
	if _, in := p.Chosen[x.Path]; in {
		delete(p.Chosen, x.Path)
		return
	}
	if p.Chosen == nil {
		p.Chosen = map[api.FilePath]api.File{}
	}
	p.Chosen[x.Path] = x
}

// Ready says that the button has something to do.
func (p *Picker) Ready() bool {
	return p.Loaded && (p.What == PickFolder && p.Path != p.From || len(p.Chosen) > 0)
}

// Done takes what is chosen.
func (p *Picker) Done() {
	if !p.Ready() {
		return
	}
	do, site, folder := p.do, p.Site, p.Path
	var files []api.File
	for _, x := range p.Chosen {
		files = append(files, x)
	}
	p.app.platform.SetPreference(lastSiteKey, string(site))
	p.shut()
	do(site, folder, files)
}

// Cancel closes the sheet; nothing is chosen.
func (p *Picker) Cancel() {
	back := p.back
	p.shut()
	if back != "" {
		p.app.platform.Focus(back)
	} else if p.app.Route.Page == PageFiles {
		p.app.Files.FocusCursor()
	}
}

func (p *Picker) shut() {
	p.close()
	p.Asked, p.do, p.Chosen, p.back = false, nil, nil, ""
}

// key does what a key means in the sheet.
func (p *Picker) key(k Key) bool {
	switch {
	case k.Name == "Escape":
		p.Cancel()
		return true
	case k.Typing || k.Ctrl:
		return false
	case k.Name == "Backspace", k.Alt && k.Name == "ArrowUp":
		p.GoUp()
		return true
	case !k.InList || k.OnControl || k.Alt:
		return false
	}
	switch k.Name {
	case "ArrowDown":
		p.MoveTo(p.Cursor + 1)
	case "ArrowUp":
		p.MoveTo(p.Cursor - 1)
	case "PageDown":
		p.MoveTo(p.Cursor + max(p.Shown-2, 1))
	case "PageUp":
		p.MoveTo(p.Cursor - max(p.Shown-2, 1))
	case "Home":
		p.MoveTo(0)
	case "End":
		p.MoveTo(p.Total - 1)
	case "Enter", " ":
		p.Press(p.Cursor)
	default:
		return false
	}
	return true
}
