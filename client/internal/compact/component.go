//go:build !js

package main

import (
	"go/ast"
	"go/token"
	"strings"
)

// component rewrites the block by which one component uses another:
//
//	vgcompKey := vugu.MakeCompKey(0x…^vgin.CurrentPositionHash(), key)
//	vgcomp, _ := vgin.BuildEnv.CachedComponent(vgcompKey).(*T)
//	if vgcomp == nil { … }
//	vgin.BuildEnv.UseComponent(vgcompKey, vgcomp)
//	vgcomp.Field = …
//	vgout.Components = append(vgout.Components, vgcomp)
//	vgn = &vugu.VGNode{Component: vgcomp}
//	vgparent.AppendChild(vgn)
func (c *compactor) component(list []ast.Stmt) []ast.Stmt {
	if len(list) < 7 {
		return list
	}
	parent := ast.NewIdent("vgparent")
	switch c.text(list[len(list)-1]) {
	case "vgparent.AppendChild(vgn)":
	case "vgout.Out = append(vgout.Out, vgn)":
		parent = ast.NewIdent("nil")
	default:
		return list
	}
	id, key := made(list[0])
	t := asserted(list[1])
	n := nodeLiteral(list[len(list)-2])
	if id == nil || t == nil || n["Component"] == nil || c.text(list[3]) != "vgin.BuildEnv.UseComponent(vgcompKey, vgcomp)" {
		return list
	}
	name := c.text(t)
	c.made = append(c.made, name)
	use := call("component", ast.NewIdent("vgin"), ast.NewIdent("vgout"), parent, id, key, ast.NewIdent(maker(name)))
	fields := list[4 : len(list)-3]
	if len(fields) == 0 {
		return []ast.Stmt{&ast.ExprStmt{X: use}}
	}
	return append([]ast.Stmt{&ast.AssignStmt{
		Lhs: []ast.Expr{ast.NewIdent("vgcomp")}, Tok: token.DEFINE,
		Rhs: []ast.Expr{&ast.TypeAssertExpr{X: use, Type: &ast.StarExpr{X: t}}},
	}}, fields...)
}

// made gives id and key of `vgcompKey := vugu.MakeCompKey(id^vgin.CurrentPositionHash(), key)`.
func made(s ast.Stmt) (id, key ast.Expr) {
	a, ok := s.(*ast.AssignStmt)
	if !ok || a.Tok != token.DEFINE || len(a.Lhs) != 1 || !isIdent(a.Lhs[0], "vgcompKey") {
		return nil, nil
	}
	m, ok := a.Rhs[0].(*ast.CallExpr)
	if !ok || len(m.Args) != 2 {
		return nil, nil
	}
	x, ok := m.Args[0].(*ast.BinaryExpr)
	if !ok || x.Op != token.XOR {
		return nil, nil
	}
	return x.X, m.Args[1]
}

// asserted gives T of `vgcomp, _ := vgin.BuildEnv.CachedComponent(vgcompKey).(*T)`.
func asserted(s ast.Stmt) ast.Expr {
	a, ok := s.(*ast.AssignStmt)
	if !ok || len(a.Lhs) != 2 || !isIdent(a.Lhs[0], "vgcomp") || len(a.Rhs) != 1 {
		return nil
	}
	t, ok := a.Rhs[0].(*ast.TypeAssertExpr)
	if !ok {
		return nil
	}
	p, ok := t.Type.(*ast.StarExpr)
	if !ok {
		return nil
	}
	return p.X
}

// maker names the function that makes a component: newPart for Part, newOtherPart for other.Part.
func maker(name string) string {
	var b strings.Builder
	b.WriteString("new")
	for part := range strings.SplitSeq(name, ".") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}
