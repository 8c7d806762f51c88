//go:build !js

// Command compact makes the code that vugugen wrote smaller: where every element is made in place, by some forty
// instructions of WebAssembly for each attribute, it calls functions of the package (client/ui/element.go) with the number
// of a piece of markup. Everything that never changes about a component is such markup, one text that compresses well and is
// read when it is first shown (client/ui/markup.go). That takes 80 KB off the page, of 950 that it may have (Go 1.26,
// vugu 0.4), and makes fewer allocations at every rendering.
//
// It changes one thing of what the code does, as JSX does: white space between tags that contains a line break is layout
// of the source, not content, and is left out. A space that counts stands on one line with what it separates.
//
//	//go:generate go run ../internal/compact 0_components_gen.go
//
// What it does not recognise it leaves as it is.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: compact FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "compact:", err)
		os.Exit(1)
	}
}

func run(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	out, err := compact(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, out, 0o644)
}
