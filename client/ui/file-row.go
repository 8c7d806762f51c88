package ui

import (
	"strconv"
	"strings"
	"time"

	"github.com/vugu/vugu"
	"github.com/vugu/vugu/js"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// FileRow is an entry of a folder; one that is not here yet is a skeleton of the same height.
type FileRow struct {
	App   *view.App
	Index int
	Now   time.Time

	file  api.File
	there bool
	date  string
}

// Compute runs before each build.
func (c *FileRow) Compute() {
	c.file, c.there = c.App.Files.Row(c.Index)
	c.date = ""
	if !c.file.Modified.IsZero() {
		c.date = view.ListDate(c.file.Modified, c.Now)
	}
}

func (c *FileRow) class() string {
	return classes("cab-row", when(!c.there, "cab-skeleton"), when(c.there && !c.file.Usable, "cab-useless"), when(c.selected(), "row-selected"), when(c.file.Kind == api.KindFolder, "cab-isfolder"))
}

func (c *FileRow) hook() any {
	if !c.there {
		return nil
	}
	return "file-row"
}

func (c *FileRow) selected() bool {
	_, in := c.App.Files.Selected[c.file.Path]
	return c.there && in
}

func (c *FileRow) tabindex() string {
	if c.Index == c.App.Files.Cursor {
		return "0"
	}
	return "-1"
}

func (c *FileRow) place() string { return fileRowAt(c.Index) }

func fileRowAt(index int) string {
	return "transform:translateY(calc(var(--file-height)*" + strconv.Itoa(index) + "))"
}

func (c *FileRow) editing() bool {
	e := c.App.Files.Edit
	return c.there && e.Path != "" && e.Path == c.file.Path
}

// kindIcon is the picture of an entry.
func kindIcon(f api.File) string {
	switch f.Kind {
	case api.KindFolder:
		return "folder"
	case api.KindLink:
		return "link"
	case api.KindUnknown, api.KindOther:
		return "question"
	}
	ext := strings.ToLower(extension(f.Name)) + " "
	for _, k := range kinds {
		if len(ext) > 1 && strings.Contains(k[1], ext) {
			return k[0]
		}
	}
	return "file"
}

// kinds are pictures, and the endings of names that have them.
var kinds = [][2]string{
	{"image", ".png .jpg .jpeg .gif .webp .svg .heic .tif .tiff .bmp "},
	{"file-sound", ".mp3 .ogg .flac .wav .m4a .opus "},
	{"file-film", ".mp4 .mkv .webm .mov .avi .m4v "},
	{"file-zip", ".zip .gz .tgz .xz .zst .bz2 .7z .rar .tar .iso "},
	{"file-text", ".txt .md .pdf .doc .docx .odt .rtf .html .csv .xls .xlsx .ods .ppt .pptx .odp .eml .log .json .xml "},
}

func kindName(f api.File) string {
	switch f.Kind {
	case api.KindFolder:
		return "folder"
	case api.KindLink:
		return "link to " + f.Target
	case api.KindFile:
		return "file"
	}
	return "cannot be used"
}

func (c *FileRow) size() string {
	if c.file.Kind != api.KindFile || c.file.Size < 0 {
		return ""
	}
	return view.Size(c.file.Size)
}

// small is what a narrow page has beneath the name.
func (c *FileRow) small() string {
	switch s := c.size(); {
	case s != "" && c.date != "":
		return s + " · " + c.date
	case s != "":
		return s
	}
	return c.date
}

func (c *FileRow) fullDate() any {
	switch {
	case c.file.Modified.IsZero():
		return nil
	case !c.file.Exact:
		return c.file.Modified.Format("2 January 2006") + ", as far as the server tells"
	}
	return view.FullDate(c.file.Modified)
}

func (c *FileRow) stamp() any {
	if c.file.Modified.IsZero() {
		return nil
	}
	return c.file.Modified.Format(time.RFC3339)
}

// label is what a screen reader says of the row.
func (c *FileRow) label() string {
	if !c.there {
		return "Loading"
	}
	l := c.file.Name + ", " + kindName(c.file)
	if s := c.size(); s != "" {
		l += ", " + s
	}
	if c.date != "" {
		l += ", modified " + c.date
	}
	return l
}

func (c *FileRow) nameOf() any {
	if !c.there {
		return nil
	}
	return c.file.Name
}

func (c *FileRow) kindOf() any {
	if !c.there {
		return nil
	}
	return string(c.file.Kind)
}

func (c *FileRow) sizeOf() any {
	if !c.there {
		return nil
	}
	return strconv.FormatInt(c.file.Size, 10)
}

func (c *FileRow) click(e vugu.DOMEvent) {
	f := &c.App.Files
	switch {
	case !c.there || c.editing():
	case e.PropBool("shiftKey"):
		f.Toggle(c.Index, true)
	case e.PropBool("ctrlKey") || e.PropBool("metaKey"):
		f.Toggle(c.Index, false)
	case !c.App.Narrow():
		f.Pick(c.Index)
	case len(f.Selected) > 0:
		f.Toggle(c.Index, false)
	case c.file.Kind == api.KindFolder || c.file.Kind == api.KindLink:
		f.OpenFile(c.Index)
	default:
		c.menu(e)
	}
}

func (c *FileRow) open() {
	if c.there && !c.editing() && !c.App.Narrow() {
		c.App.Files.Selected = nil
		c.App.Files.OpenFile(c.Index)
	}
}

func (c *FileRow) check(e vugu.DOMEvent) {
	e.StopPropagation()
	if c.there {
		c.App.Files.Toggle(c.Index, e.PropBool("shiftKey"))
	}
}

func (c *FileRow) focus() {
	if c.there && c.App.Files.Cursor != c.Index {
		c.App.Files.SetCursor(c.Index)
	}
}

// menu opens what can be done beneath the button, or where the pointer is.
func (c *FileRow) menu(e vugu.DOMEvent) {
	e.PreventDefault()
	e.StopPropagation()
	x, y := int(e.PropFloat64("clientX")), int(e.PropFloat64("clientY"))
	if b := e.JSEventCurrentTarget(); b.Truthy() && e.PropString("type") == "click" {
		if at := b.Call("getBoundingClientRect"); at.Get("height").Float() < 40 {
			x, y = int(at.Get("right").Float())-240, int(at.Get("bottom").Float())+4
		}
	}
	c.App.Files.OpenActs(c.Index, x, y)
}

func (c *FileRow) submit(e vugu.DOMEvent) {
	e.PreventDefault()
	c.App.Files.CommitEdit()
}

func (c *FileRow) selectStem(el js.Value) { (&Files{}).selectStem(el) }
