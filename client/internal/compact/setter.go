//go:build !js

package main

import (
	"go/ast"
	"go/token"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// setter rewrites a statement that sets something of a node.
func setter(s ast.Stmt) ast.Stmt {
	if r := handler(s); r != nil {
		return r
	}
	if b, ok := s.(*ast.BlockStmt); ok {
		if r := property(b); r != nil {
			return r
		}
	}
	return s
}

// handler rewrites `vgn.DOMEventHandlerSpecList = append(…, vugu.DOMEventHandlerSpec{EventType: t, Func: f})`.
func handler(s ast.Stmt) ast.Stmt {
	lit := appendedTo(s, "DOMEventHandlerSpecList", "DOMEventHandlerSpec")
	if len(lit) != 2 || lit["EventType"] == nil || lit["Func"] == nil {
		return nil
	}
	if stringOf(lit["EventType"]) == "click" {
		return &ast.ExprStmt{X: call("onClick", ast.NewIdent("vgn"), lit["Func"])}
	}
	return &ast.ExprStmt{X: call("on", ast.NewIdent("vgn"), lit["EventType"], lit["Func"])}
}

// property rewrites `{ b, err := vjson.Marshal(v); if err != nil { panic(err) }; vgn.Prop = append(…) }`.
func property(b *ast.BlockStmt) ast.Stmt {
	if len(b.List) != 3 {
		return nil
	}
	a, ok := b.List[0].(*ast.AssignStmt)
	if !ok || a.Tok != token.DEFINE || len(a.Rhs) != 1 {
		return nil
	}
	m, ok := a.Rhs[0].(*ast.CallExpr)
	if !ok || !isSelector(m.Fun, "vjson", "Marshal") {
		return nil
	}
	lit := appendedTo(b.List[2], "Prop", "VGProperty")
	if lit == nil {
		return nil
	}
	return &ast.ExprStmt{X: call("property", ast.NewIdent("vgn"), lit["Key"], m.Args[0])}
}

// constant gives the text of `vgn.SetInnerHTML(vugu.HTML("…"))`.
func constant(s ast.Stmt) (text string, ok bool) {
	e, ok := s.(*ast.ExprStmt)
	if !ok {
		return "", false
	}
	m, ok := e.X.(*ast.CallExpr)
	if !ok || !isSelector(m.Fun, "vgn", "SetInnerHTML") || len(m.Args) != 1 {
		return "", false
	}
	conv, ok := m.Args[0].(*ast.CallExpr)
	if !ok || !isSelector(conv.Fun, "vugu", "HTML") {
		return "", false
	}
	l, ok := conv.Args[0].(*ast.BasicLit)
	return stringOf(l), ok
}

// content is constant HTML in an element of that name as markup, if nodes can say the same.
func content(inner, space, name string) (markup string, ok bool) {
	context := &html.Node{Type: html.ElementNode, Data: name, DataAtom: atom.Lookup([]byte(name)), Namespace: space}
	list, err := html.ParseFragment(strings.NewReader(inner), context)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	for _, n := range list {
		if !write(&b, n) {
			return "", false
		}
	}
	return b.String(), true
}

// write writes an element or a text as markup, if it can be.
func write(b *strings.Builder, n *html.Node) bool {
	switch n.Type {
	case html.TextNode:
		b.WriteString(escaper.Replace(n.Data))
		return true
	case html.CommentNode:
		return true
	case html.ElementNode:
	default:
		return false
	}
	name := spaced(n.Namespace, n.Data)
	b.WriteString("<" + name)
	for _, a := range n.Attr {
		if a.Namespace != "" {
			return false
		}
		b.WriteString(attribute(a.Key, a.Val))
	}
	b.WriteString(">")
	for c := range n.ChildNodes() {
		if !write(b, c) {
			return false
		}
	}
	b.WriteString("</" + name + ">")
	return true
}

// appendedTo gives the fields of lit in `vgn.FIELD = append(vgn.FIELD, vugu.TYPE{…})`.
func appendedTo(s ast.Stmt, field, typ string) map[string]ast.Expr {
	a, ok := s.(*ast.AssignStmt)
	if !ok || len(a.Lhs) != 1 || !isSelector(a.Lhs[0], "vgn", field) {
		return nil
	}
	m, ok := a.Rhs[0].(*ast.CallExpr)
	if !ok || !isIdent(m.Fun, "append") || len(m.Args) != 2 {
		return nil
	}
	l, ok := m.Args[1].(*ast.CompositeLit)
	if !ok || !isSelector(l.Type, "vugu", typ) {
		return nil
	}
	return fieldsOf(l)
}
