package ui

import (
	"github.com/vugu/vugu/js"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// Picker is the sheet in which a file or a folder of a server is chosen.
type Picker struct {
	App *view.App

	scroll *scroller
}

func (c *Picker) scroller(el js.Value) {
	c.scroll = scrolling(c.App, &c.App.Picker, "--file-height", fileRowHeight, el, c.scroll)
}

func (c *Picker) way() way {
	return wayTo(&c.App.Picker.Folder, view.SiteLabel(c.App.Site(c.App.Picker.Site)), 2)
}

func (c *Picker) goTo(p api.Crumb) { c.App.Picker.Go(p.Path) }

type pickerRow struct {
	slot
	api.File
	there, takes, chosen bool
}

func (c *Picker) rows() []pickerRow {
	var out []pickerRow
	p := &c.App.Picker
	for _, s := range fileSlots(&p.Folder) {
		r := pickerRow{slot: s}
		r.File, r.there = p.Row(s.index)
		r.takes = r.there && p.Takes(r.File)
		_, r.chosen = p.Chosen[r.Path]
		out = append(out, r)
	}
	return out
}

func (r pickerRow) class() string {
	return classes("cab-row", when(!r.there, "cab-skeleton"), when(r.there && !r.takes, "cab-useless"), when(r.chosen, "row-selected"), when(r.Kind == api.KindFolder, "cab-isfolder"))
}

func (r pickerRow) hook() any {
	if !r.there {
		return nil
	}
	return "picker-row"
}

func (r pickerRow) size() string {
	if r.Kind != api.KindFile || r.Size < 0 {
		return ""
	}
	return view.Size(r.Size)
}

func (r pickerRow) place() string { return fileRowAt(r.index) }

func (r pickerRow) label() string {
	if !r.there {
		return "Loading"
	}
	return r.Name + ", " + kindName(r.File)
}

func (c *Picker) tabindex(r pickerRow) string {
	if r.index == c.App.Picker.Cursor {
		return "0"
	}
	return "-1"
}

func (c *Picker) button() string {
	p := &c.App.Picker
	if n := len(p.Chosen); n > 1 {
		return p.Verb + " " + view.Number(n)
	}
	return p.Verb
}

func (c *Picker) several() bool { return len(c.App.Sites) > 1 && c.App.Picker.From == "" }
