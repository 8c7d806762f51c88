//go:build !js

package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
)

// node is what vugugen wrote for one node of a component: `vgn = &vugu.VGNode{…}`, how it gets its parent, what sets it,
// and a block for its children.
type node struct {
	parent  string     // "vgparent", or "vgout" for a component's outermost nodes
	markup  string     // with those children that come first and never change
	closing string     // of an element
	setters []ast.Stmt // what reads or writes vgn
	rest    []ast.Stmt // of the children
	flat    bool       // a vg-template: its children are its parent's
}

// node reads the node that list begins with, and answers what follows; nil where none begins, or none that can be
// written as markup.
func (c *compactor) node(list []ast.Stmt) (*node, []ast.Stmt) {
	lit := nodeLiteral(list[0])
	if lit == nil || lit["Component"] != nil || len(list) < 2 {
		return nil, list[1:]
	}
	n := &node{}
	switch c.text(list[1]) {
	case "vgparent.AppendChild(vgn)":
		n.parent = "vgparent"
	case "vgout.Out = append(vgout.Out, vgn)":
		n.parent = "vgout"
	default:
		return nil, list[1:]
	}
	switch data := stringOf(lit["Data"]); {
	case kindOf(lit) == "1" && blank(data):
		return n, list[2:]
	case kindOf(lit) == "1":
		n.markup = escaper.Replace(data)
		return n, list[2:]
	case kindOf(lit) != "3":
		return nil, list[1:]
	case lit["Data"] == nil:
		if len(list) < 3 || n.parent != "vgparent" {
			return nil, list[1:]
		}
		n.flat = true
	default:
		name := spaced(stringOf(lit["Namespace"]), data)
		attributes, ok := written(lit["Attr"])
		if !ok {
			return nil, list[1:]
		}
		n.markup, n.closing = "<"+name+attributes+">", "</"+name+">"
	}
	rest := list[2:]
	for len(rest) > 0 && !isChildren(rest[0]) && isSetter(rest[0]) {
		if html, ok := constant(rest[0]); !ok {
			n.setters = append(n.setters, setter(rest[0]))
		} else if markup, ok := content(html, stringOf(lit["Namespace"]), stringOf(lit["Data"])); ok {
			n.markup += markup
		} else { // the renderer takes HTML for a text's, and leaves the paths in it as they are
			c.err = fmt.Errorf("no markup says %q", html)
		}
		rest = rest[1:]
	}
	if n.flat && (len(n.setters) > 0 || len(rest) == 0 || !isChildren(rest[0])) {
		return nil, list[1:]
	}
	if len(rest) > 0 && isChildren(rest[0]) {
		n.rest = rest[0].(*ast.BlockStmt).List[2:]
		rest = rest[1:]
	}
	if html, ok := static(first(n.rest)); ok && !n.flat {
		n.markup += html
		n.rest = n.rest[1:]
	}
	return n, rest
}

// statements writes the node.
func (n *node) statements() []ast.Stmt {
	switch {
	case n.flat:
		return n.rest
	case n.markup == "":
		return nil
	case len(n.setters) == 0 && len(n.rest) == 0 && n.parent == "vgparent":
		return []ast.Stmt{staticStmt(n.markup + n.closing)}
	}
	name := "element"
	if n.parent == "vgout" {
		name = "root"
	}
	made := call(name, ast.NewIdent(n.parent), quoted(n.markup+n.closing))
	if len(n.setters) == 0 && len(n.rest) == 0 {
		return []ast.Stmt{&ast.ExprStmt{X: made}}
	}
	out := append([]ast.Stmt{&ast.AssignStmt{Lhs: []ast.Expr{ast.NewIdent("vgn")}, Tok: token.ASSIGN, Rhs: []ast.Expr{made}}}, n.setters...)
	if len(n.rest) > 0 {
		parent := ast.NewIdent("vgparent")
		out = append(out, &ast.BlockStmt{List: append([]ast.Stmt{
			&ast.AssignStmt{Lhs: []ast.Expr{parent}, Tok: token.DEFINE, Rhs: []ast.Expr{ast.NewIdent("vgn")}},
			&ast.AssignStmt{Lhs: []ast.Expr{ast.NewIdent("_")}, Tok: token.ASSIGN, Rhs: []ast.Expr{parent}},
		}, n.rest...)})
	}
	return out
}

// staticStmt adds markup to a parent; static gives it back.
func staticStmt(markup string) ast.Stmt {
	return &ast.ExprStmt{X: call("fixed", ast.NewIdent("vgparent"), quoted(markup))}
}

func static(s ast.Stmt) (markup string, ok bool) {
	e, ok := s.(*ast.ExprStmt)
	if !ok {
		return "", false
	}
	m, ok := e.X.(*ast.CallExpr)
	if !ok || !isIdent(m.Fun, "fixed") {
		return "", false
	}
	return stringOf(m.Args[1]), true
}

func first(list []ast.Stmt) ast.Stmt {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// written is a list of constant attributes as markup.
func written(e ast.Expr) (markup string, ok bool) {
	l, ok := e.(*ast.CompositeLit)
	if !ok {
		return "", e == nil || !isIdent(e, "nil") && isEmptyList(e)
	}
	for _, elt := range l.Elts {
		fields := fieldsOf(elt.(*ast.CompositeLit))
		for _, f := range fields {
			if b, ok := f.(*ast.BasicLit); !ok || b.Kind != token.STRING {
				return "", false
			}
		}
		if stringOf(fields["Namespace"]) != "" {
			return "", false
		}
		markup += attribute(stringOf(fields["Key"]), stringOf(fields["Val"]))
	}
	return markup, true
}

// isEmptyList says that e is `[]vugu.VGAttribute(nil)`.
func isEmptyList(e ast.Expr) bool {
	m, ok := e.(*ast.CallExpr)
	return ok && len(m.Args) == 1 && isIdent(m.Args[0], "nil")
}

// spaced is the name of an element in markup, which says its namespace where HTML knows it by what is around it.
func spaced(space, name string) string {
	if space == "" {
		return name
	}
	return space + ":" + name
}

func attribute(key, value string) string { return " " + key + `="` + escaper.Replace(value) + `"` }

// escaper writes the characters that mean something in markup, or to Go around it, as client/ui/markup.go reads them.
var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "`", "&#96;", "\n", "&#10;")

// blank says that a text is layout of the source: white space with a line break in it.
func blank(s string) bool { return strings.Contains(s, "\n") && strings.TrimSpace(s) == "" }

// nodeLiteral gives the fields of `vgn = &vugu.VGNode{…}`.
func nodeLiteral(s ast.Stmt) map[string]ast.Expr {
	a, ok := s.(*ast.AssignStmt)
	if !ok || a.Tok != token.ASSIGN || len(a.Lhs) != 1 || !isIdent(a.Lhs[0], "vgn") {
		return nil
	}
	u, ok := a.Rhs[0].(*ast.UnaryExpr)
	if !ok || u.Op != token.AND {
		return nil
	}
	l, ok := u.X.(*ast.CompositeLit)
	if !ok || !isSelector(l.Type, "vugu", "VGNode") {
		return nil
	}
	return fieldsOf(l)
}

func fieldsOf(l *ast.CompositeLit) map[string]ast.Expr {
	fields := map[string]ast.Expr{}
	for _, e := range l.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			fields[kv.Key.(*ast.Ident).Name] = kv.Value
		}
	}
	return fields
}

// kindOf is n of `Type: vugu.VGNodeType(n)`.
func kindOf(fields map[string]ast.Expr) string {
	m, ok := fields["Type"].(*ast.CallExpr)
	if !ok || len(m.Args) != 1 {
		return ""
	}
	n, ok := m.Args[0].(*ast.BasicLit)
	if !ok {
		return ""
	}
	return n.Value
}

// isChildren says that s is a block for the children of vgn.
func isChildren(s ast.Stmt) bool {
	b, ok := s.(*ast.BlockStmt)
	if !ok || len(b.List) < 2 {
		return false
	}
	a, ok := b.List[0].(*ast.AssignStmt)
	return ok && a.Tok == token.DEFINE && isIdent(a.Lhs[0], "vgparent") && isIdent(a.Rhs[0], "vgn")
}

// isSetter says that s reads or writes vgn, and not only below a block of its own.
func isSetter(s ast.Stmt) bool {
	if a, ok := s.(*ast.AssignStmt); ok && len(a.Lhs) == 1 && isIdent(a.Lhs[0], "vgn") {
		return false
	}
	switch b := s.(type) {
	case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt:
		return false
	case *ast.BlockStmt:
		return property(b) != nil
	}
	used := false
	ast.Inspect(s, func(n ast.Node) bool {
		if i, ok := n.(*ast.Ident); ok && i.Name == "vgn" {
			used = true
		}
		return !used
	})
	return used
}
