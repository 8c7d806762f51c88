package ui

import (
	"context"
	"errors"
	"time"

	"github.com/vugu/vugu/js"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// localFile is a File of the browser. Nothing of it is read before it is asked for.
type localFile struct{ file js.Value }

// LocalFile is a File of the browser as the page's state knows it.
func LocalFile(file js.Value) view.LocalFile { return localFile{file} }

// localFiles are those of a FileList.
func localFiles(list js.Value) (files []view.LocalFile) {
	if list.Truthy() {
		for i := range list.Get("length").Int() {
			files = append(files, localFile{list.Index(i)})
		}
	}
	return files
}

// chosen are the files chosen in an input, which forgets them, so that the same can be chosen again.
func chosen(input js.Value) []view.LocalFile {
	if !input.Truthy() {
		return nil
	}
	defer input.Set("value", "")
	return localFiles(input.Get("files"))
}

// About implements view.LocalFile.
func (f localFile) About() api.LocalFile {
	return api.LocalFile{
		Name: f.file.Get("name").String(), Size: int64(f.file.Get("size").Float()),
		Modified: time.UnixMilli(int64(f.file.Get("lastModified").Float())).UTC(),
	}
}

// Read implements view.LocalFile.
func (f localFile) Read(_ context.Context, offset int64, length int) ([]byte, error) {
	type answer struct {
		data []byte
		err  error
	}
	answered := make(chan answer, 1)
	read := js.FuncOf(func(_ js.Value, args []js.Value) any {
		bytes := js.Global().Get("Uint8Array").New(args[0])
		data := make([]byte, bytes.Get("length").Int())
		js.CopyBytesToGo(data, bytes)
		answered <- answer{data: data}
		return nil
	})
	defer read.Release()
	failed := js.FuncOf(func(_ js.Value, args []js.Value) any {
		answered <- answer{err: errors.New(args[0].Call("toString").String())}
		return nil
	})
	defer failed.Release()
	f.file.Call("slice", float64(offset), float64(offset)+float64(length)).Call("arrayBuffer").Call("then", read, failed)
	a := <-answered // a read of a file always ends
	if a.err == nil && len(a.data) != length {
		a.err = errors.New("it is shorter than it was")
	}
	return a.data, a.err
}
