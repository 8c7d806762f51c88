package bundle

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// Share is how much of a program's machine code comes from one part of it: a module, a package of ours, or a corner of
// the standard library.
type Share struct {
	Part string
	Code int // bytes of function bodies, before compression
}

// Shares compiles a program as a release is, but with its functions' names, and answers what each part weighs, the
// heaviest first. What is not code (strings, types, tables for stack traces) is not counted: Go does not say whose it is.
func Shares(ctx context.Context, root, dir string, p Program) ([]Share, error) {
	listed, err := run(ctx, root, "list", "-deps", "-f", "{{.ImportPath}} {{if .Module}}{{.Module.Path}}{{end}}", p.Package)
	if err != nil {
		return nil, err
	}
	parts := map[string]string{} // a package as symbols begin → its part
	for line := range strings.Lines(listed) {
		f := strings.Fields(line)
		parts[symbolPrefix(f[0])] = part(f[0], f[1:])
	}
	file := filepath.Join(dir, "named")
	if err := p.build(ctx, root, file); err != nil {
		return nil, err
	}
	program, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	functions, err := functionSizes(program)
	if err != nil {
		return nil, err
	}
	sums := map[string]int{}
	for name, size := range functions {
		sums[partOf(name, parts)] += size
	}
	var out []Share
	for part, code := range sums {
		out = append(out, Share{part, code})
	}
	slices.SortFunc(out, func(a, b Share) int { return cmp.Or(b.Code-a.Code, strings.Compare(a.Part, b.Part)) })
	return out, nil
}

// WriteShares writes a program's shares as a table. compressed is the program's size on its way: each part's portion of
// it by its portion of the code is an estimate, for code compresses alike but not the same.
func WriteShares(w io.Writer, name string, shares []Share, compressed int) error {
	total := 0
	for _, s := range shares {
		total += s.Code
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s: part\tcode\tof all\tbrotli, about\t\n", name)
	for _, s := range shares {
		portion := float64(s.Code) / float64(total)
		fmt.Fprintf(t, "%s\t%s\t%.1f %%\t%s\t\n", s.Part, grouped(s.Code), 100*portion, grouped(int(portion*float64(compressed))))
	}
	fmt.Fprintf(t, "all\t%s\t\t%s\t\n", grouped(total), grouped(compressed))
	return t.Flush()
}

// WriteAllShares writes the shares of a release's two programs.
func WriteAllShares(ctx context.Context, w io.Writer, root string, r *Result) error {
	dir, err := os.MkdirTemp("", "postern-shares-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, p := range []Program{page, engine} {
		shares, err := Shares(ctx, root, dir, p)
		if err != nil {
			return err
		}
		name := p.name() + ".wasm"
		f, _ := r.File(name)
		fmt.Fprintln(w)
		if err := WriteShares(w, name, shares, sent(f.Brotli, f.Content)); err != nil {
			return err
		}
	}
	return nil
}

// part names the part of a program that a package belongs to.
func part(importPath string, module []string) string {
	dirs := strings.Split(strings.TrimPrefix(importPath, "vendor/"), "/")
	switch {
	case len(module) == 1 && dirs[0] == "github.com" && strings.HasSuffix(module[0], "/postern"):
		own := strings.TrimPrefix(strings.TrimPrefix(importPath, module[0]), "/")
		d := strings.Split(own, "/")
		return "postern " + strings.Join(d[:min(2, len(d))], "/")
	case len(module) == 1:
		return module[0]
	case dirs[0] == "crypto", strings.HasPrefix(importPath, "vendor/golang.org/x/crypto"):
		return "Go: crypto"
	case strings.HasPrefix(importPath, "net/http"), strings.HasPrefix(importPath, "vendor/golang.org/x/net"):
		return "Go: net/http"
	case dirs[0] == "runtime", dirs[0] == "internal":
		return "Go: runtime"
	}
	return "Go: " + dirs[0]
}

// symbolPrefix is how the names of a package's functions begin in the program: Go's linker escapes dots after the last
// slash, and writes an underscore for all that WebAssembly tools might not like.
func symbolPrefix(importPath string) string {
	i := strings.LastIndexByte(importPath, '/') + 1
	return mangled(importPath[:i]+strings.ReplaceAll(importPath[i:], ".", "%2e")) + "."
}

func mangled(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '.':
			return r
		}
		return '_'
	}, s)
}

// partOf finds the part of a function by the longest package that its name begins with.
func partOf(name string, parts map[string]string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '.' {
			if p, ok := parts[name[:i+1]]; ok {
				return p
			}
		}
	}
	return "Go: runtime" // the linker's own, and assembly
}

// functionSizes reads a WebAssembly module (its core specification, section 5.5) for the functions that it defines: their
// names and the size of their bodies in bytes.
func functionSizes(module []byte) (map[string]int, error) {
	if !bytes.HasPrefix(module, []byte("\x00asm\x01\x00\x00\x00")) {
		return nil, errors.New("this is not a WebAssembly module")
	}
	var bodies []int
	names := map[uint64]string{}
	imported := uint64(0)
	r := &section{b: module[8:]}
	for len(r.b) > 0 && r.err == nil {
		id := r.byte()
		s := &section{b: r.take()}
		switch id {
		case 0:
			if string(s.take()) == "name" {
				s.names(names)
			}
		case 2:
			imported = s.functionImports()
		case 10:
			for n := s.uint(); n > 0 && s.err == nil; n-- {
				bodies = append(bodies, len(s.take()))
			}
		}
		r.err = cmp.Or(r.err, s.err)
	}
	if r.err != nil {
		return nil, r.err
	}
	if len(names) == 0 {
		return nil, errors.New("the module has no names")
	}
	out := map[string]int{}
	for i, size := range bodies {
		out[names[imported+uint64(i)]] += size
	}
	return out, nil
}

// section reads one section. After a failure it reads nothing but zeros.
type section struct {
	b   []byte
	err error
}

func (s *section) uint() uint64 {
	v, n := binary.Uvarint(s.b)
	if n <= 0 {
		s.b, s.err = nil, errors.New("the module ends in the middle of a number")
		return 0
	}
	s.b = s.b[n:]
	return v
}

func (s *section) byte() byte {
	if len(s.b) == 0 {
		s.err = io.ErrUnexpectedEOF
		return 0
	}
	c := s.b[0]
	s.b = s.b[1:]
	return c
}

// take reads a vector of bytes.
func (s *section) take() []byte {
	n := s.uint()
	if n > uint64(len(s.b)) {
		s.b, s.err = nil, errors.New("the module ends in the middle of a vector")
		return nil
	}
	v := s.b[:n]
	s.b = s.b[n:]
	return v
}

// names reads the function names of the name section (appendix 7.4.1).
func (s *section) names(into map[uint64]string) {
	for len(s.b) > 0 && s.err == nil {
		kind := s.byte()
		sub := &section{b: s.take()}
		if kind == 1 {
			for n := sub.uint(); n > 0 && sub.err == nil; n-- {
				i := sub.uint()
				into[i] = string(sub.take())
			}
		}
		s.err = cmp.Or(s.err, sub.err)
	}
}

// functionImports counts the imports that are functions: they come first in the numbering. Go imports nothing else.
func (s *section) functionImports() uint64 {
	n := s.uint()
	for range n {
		s.take()
		s.take()
		if s.byte() != 0 {
			s.err = errors.New("an import is not a function")
		}
		s.uint()
		if s.err != nil {
			return 0
		}
	}
	return n
}
