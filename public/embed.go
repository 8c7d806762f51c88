// Package public holds the page's static files. What lies beside this file is the source; what a browser gets is in
// dist, made by wasm/pack: hashed names, precompressed variants, the service worker's list. A clone compiles before
// anything has been packed, because dist/.keep is committed; gateway/web then says what to run.
package public

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files is the packed page, rooted at dist.
func Files() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		return dist // fs.Sub fails on an invalid path alone, and "dist" is a valid one
	}
	return sub
}
