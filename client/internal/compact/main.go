// Command compact makes the code that vugugen wrote smaller, without changing what it does: where every element is made
// in place, by some forty instructions of WebAssembly for each attribute, it calls a function of the package instead
// (client/ui/element.go), and static attributes become tables. For the page that is a twentieth of its size, and fewer
// allocations at every rendering.
//
//	//go:generate go run ../internal/compact 0_components_gen.go
//
// What it does not recognise it leaves as it is.
package main

import (
	"fmt"
	"go/format"
	"os"
	"regexp"
	"strings"
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
	out, err := compact(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, out, 0o644)
}

// The shapes of vugugen 0.4's output, one node each.
const str = `"(?:[^"\\]|\\.)*"`

var (
	element = regexp.MustCompile(`vgn = &vugu\.VGNode\{Type: vugu\.VGNodeType\(3\), Namespace: (` + str + `), Data: (` + str + `), Attr: (\[\]vugu\.VGAttribute.*)\}\n\t*vgparent\.AppendChild\(vgn\)\n`)
	words   = regexp.MustCompile(`vgn = &vugu\.VGNode\{Type: vugu\.VGNodeType\(1\), Data: (` + str + `)\}\n\t*vgparent\.AppendChild\(vgn\)\n`)
	handler = regexp.MustCompile(`vgn\.DOMEventHandlerSpecList = append\(vgn\.DOMEventHandlerSpecList, vugu\.DOMEventHandlerSpec\{\n\t*EventType: (` + str + `),\n\t*Func: +(func\(event vugu\.DOMEvent\) \{.*\}),\n\t*//.*\n\t*\}\)`)
)

const none = "[]vugu.VGAttribute(nil)"

// compact answers the same code, smaller, formatted as gofmt does.
func compact(code string) ([]byte, error) {
	tables := make(map[string]string) // attributes → the variable that holds them
	var order []string
	code = element.ReplaceAllStringFunc(code, func(found string) string {
		part := element.FindStringSubmatch(found)
		table := "nil"
		if part[3] != none {
			if tables[part[3]] == "" {
				tables[part[3]] = fmt.Sprintf("attributes%d", len(tables))
				order = append(order, part[3])
			}
			table = tables[part[3]]
		}
		return fmt.Sprintf("vgn = element(vgparent, %s, %s, %s)\n", part[1], part[2], table)
	})
	code = words.ReplaceAllString(code, "vgn = words(vgparent, $1)\n")
	code = handler.ReplaceAllString(code, "on(vgn, $1, $2)")
	if len(order) > 0 {
		var b strings.Builder
		b.WriteString("\n// What never changes of the elements above. Nodes share these tables: adding an attribute copies.\nvar (\n")
		for _, attributes := range order {
			fmt.Fprintf(&b, "%s = %s\n", tables[attributes], strings.ReplaceAll(attributes, "vugu.VGAttribute{Namespace: \"\", ", "{"))
		}
		b.WriteString(")\n")
		code += strings.ReplaceAll(b.String(), "{Namespace: \"\", ", "{")
	}
	return format.Source([]byte(code))
}
