package platform

import (
	"context"
	"errors"
	"strings"
	"syscall/js"

	"github.com/postern-mail/postern/client/internal/promise"
)

// background is for promises that belong to the page as a whole.
var background = context.Background()

// urlLife is how long, in milliseconds, the object URL of a download lives: browsers read it after the click, some only
// when the person has chosen a place.
const urlLife = 60_000

// SaveFile hands a file to the browser's downloads.
func (p *Page) SaveFile(name, mediaType string, data []byte) {
	// A type that a browser would show instead of save runs in this origin if somebody opens the URL: HTML and SVG of a
	// stranger. As octets it is never shown.
	p.saveBlob(name, p.window.Get("Blob").New([]any{octets(data)}, map[string]any{"type": harmless(mediaType)}))
}

// SaveDevice hands a file of the private file system to the browser's downloads. The browser reads it by itself.
func (p *Page) SaveDevice(path, name string, done func(saved bool)) {
	go func() {
		file, err := p.deviceFile(path)
		p.sched.Update(func() {
			if err == nil {
				// A blob with a file in it refers to it; and has the type that keeps it from being shown.
				p.saveBlob(name, p.window.Get("Blob").New([]any{file}, map[string]any{"type": "application/octet-stream"}))
			}
			done(err == nil)
		})
	}()
}

// deviceFile is a File of the private file system.
func (p *Page) deviceFile(path string) (file js.Value, err error) {
	storage := p.window.Get("navigator").Get("storage")
	if !storage.Truthy() || storage.Get("getDirectory").Type() != js.TypeFunction {
		return js.Undefined(), errors.ErrUnsupported
	}
	at, err := promise.Await(background, storage.Call("getDirectory"))
	parts := strings.Split(path, "/")
	for _, name := range parts[:len(parts)-1] {
		if err != nil {
			return js.Undefined(), err
		}
		at, err = promise.Await(background, at.Call("getDirectoryHandle", name))
	}
	if err != nil {
		return js.Undefined(), err
	}
	if at, err = promise.Await(background, at.Call("getFileHandle", parts[len(parts)-1])); err != nil {
		return js.Undefined(), err
	}
	return promise.Await(background, at.Call("getFile"))
}

func (p *Page) saveBlob(name string, blob js.Value) {
	url := p.window.Get("URL").Call("createObjectURL", blob)
	a := p.document.Call("createElement", "a")
	a.Set("href", url)
	a.Set("download", name)
	a.Get("style").Set("display", "none")
	p.document.Get("body").Call("append", a)
	a.Call("click")
	a.Call("remove")
	p.window.Call("setTimeout", p.window.Get("URL").Get("revokeObjectURL").Call("bind", p.window.Get("URL"), url), urlLife)
}

// File is a file that the user chose or dropped, read unless it is too large.
type File struct {
	Name, Type string
	Size       int64
	Data       []byte // nil if Size is over the largest that is wanted
	Value      js.Value
}

// OnDrop calls fn for each file that is dropped on the page while wanted says so, without reading those over largest
// octets, and keeps the browser from leaving
// the page for a dropped file.
func (p *Page) OnDrop(wanted func() bool, largest int64, fn func(File)) {
	files := func(e js.Value) bool {
		t := e.Get("dataTransfer")
		return t.Truthy() && t.Get("types").Call("includes", "Files").Bool()
	}
	listen(p.window, "dragover", func(e js.Value) {
		if files(e) {
			e.Call("preventDefault")
			effect := "none"
			if wanted() {
				effect = "copy"
			}
			e.Get("dataTransfer").Set("dropEffect", effect)
		}
	})
	listen(p.window, "drop", func(e js.Value) {
		if !files(e) {
			return
		}
		handled := e.Get("defaultPrevented").Bool()
		e.Call("preventDefault")
		if wanted() && !handled {
			p.ReadFiles(e.Get("dataTransfer").Get("files"), largest, fn)
		}
	})
}

// ReadFiles reads a FileList and calls fn with each file, in order, inside an Update. What cannot be read is left out:
// a folder, or a file that went away. One over largest octets comes without its octets.
func (p *Page) ReadFiles(list js.Value, largest int64, fn func(File)) {
	files := make([]js.Value, list.Length())
	for i := range files {
		files[i] = list.Index(i)
	}
	go func() {
		for _, f := range files {
			file := File{Name: f.Get("name").String(), Type: f.Get("type").String(), Size: int64(f.Get("size").Float()), Value: f}
			if file.Size > largest {
				p.sched.Update(func() { fn(file) })
				continue
			}
			buffer, err := promise.Await(background, f.Call("arrayBuffer"))
			if err != nil {
				continue
			}
			view := p.window.Get("Uint8Array").New(buffer)
			file.Data = make([]byte, view.Length())
			js.CopyBytesToGo(file.Data, view)
			p.sched.Update(func() { fn(file) })
		}
	}()
}
