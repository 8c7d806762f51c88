package sanitize

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

var png = []byte("\x89PNG\r\n\x1a\n")

func cids(cid string) (string, []byte, bool) {
	switch cid {
	case "logo@x", "with space":
		return "image/png", png, true
	case "svg":
		return "image/svg+xml", []byte("<svg onload=alert(1)>"), true
	case "huge":
		return "image/gif", make([]byte, maxImage+1), true
	}
	return "", nil, false
}

const pngURI = "data:image/png;base64,iVBORw0KGgo="

// TestKept is what mail needs and gets.
func TestKept(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"text", "a & b < c", "a &amp; b &lt; c"},
		{"paragraphs", "<p>one<p>two</p><br/>three", "<p>one<p>two</p><br>three"},
		{"table", `<table width="600" cellpadding=0 cellspacing=0 border=0 align=center bgcolor=#FFFFFF><tr><td colspan=2 valign=top nowrap>x</td></tr></table>`,
			`<table width="600" cellpadding="0" cellspacing="0" border="0" align="center" bgcolor="#FFFFFF"><tr><td colspan="2" valign="top" nowrap="">x</td></tr></table>`},
		{"styles", `<td style="padding:0 10px;COLOR:rgb(1, 2,3)!important;font:bold 12px/1.5 'Segoe UI',Arial">x</td>`,
			`<td style="padding: 0 10px; color: rgb(1, 2,3)!important; font: bold 12px/1.5 &#39;Segoe UI&#39;,Arial">x</td>`},
		{"font", `<font color=red face="Arial, sans" size="+1">x</font>`, `<font color="red" face="Arial, sans" size="+1">x</font>`},
		{"Japanese font", `<p style="font-family:'ＭＳ Ｐゴシック'">x</p>`, `<p style="font-family: &#39;ＭＳ Ｐゴシック&#39;">x</p>`},
		{"link", `<a href="HTTPS://x.example/a?b=c&d=100%" class="btn">x</a>`,
			`<a href="https://x.example/a?b=c&amp;d=100%" class="btn" target="_blank" rel="noopener noreferrer">x</a>`},
		{"link with a target and a rel of its own", `<a target=_top rel=opener href=http://x/>x</a>`, `<a href="http://x/" target="_blank" rel="noopener noreferrer">x</a>`},
		{"link with blanks", `<a href=" ht&#10;tp://x/a b ">x</a>`, `<a href="http://x/a%20b" target="_blank" rel="noopener noreferrer">x</a>`},
		{"mailto", `<a href="mailto:a@b?subject=x">x</a>`, `<a href="mailto:a@b?subject=x" target="_blank" rel="noopener noreferrer">x</a>`},
		{"cid", `<img src="cid:logo@x" alt="L" width=10>`, `<img src="` + pngURI + `" alt="L" width="10">`},
		{"cid escaped", `<img src="CID:with%20space">`, `<img src="` + pngURI + `">`},
		{"data image", `<img src="data:image/png;base64,iVBO Rw0KGgo=">`, `<img src="` + pngURI + `">`},
		{"body's look", `<html><head><title>no</title></head><body bgcolor="#eee" text="black" class="m"><p>x</p></body></html>`,
			`<div class="m" style="background-color: #eee; color: black"><p>x</p></div>`},
		{"style element", "<style>\np.MsoNormal, li {margin:0in;font-size:11.0pt;mso-x:1}\n@media (max-width:600px){ .w{width:100%!important} }\n</style><p class=MsoNormal>x</p>",
			"<style>p.MsoNormal, li { margin: 0in; font-size: 11.0pt }\n@media (max-width:600px) {\n.w { width: 100%!important }\n}</style><p class=\"MsoNormal\">x</p>"},
		{"style elements in comments", "<style><!-- p{color:red} --></style>x", "<style>p { color: red }</style>x"},
		{"lists", `<ol start=3 type=a><li value=7>x</li></ol>`, `<ol start="3" type="a"><li value="7">x</li></ol>`},
		{"direction", `<div dir=rtl lang=he>x</div>`, `<div dir="rtl" lang="he">x</div>`},
		{"unknown elements leave their text", `<o:p>a</o:p><button>b</button><form action=x>c<input></form>`, `abc`},
		{"ends without starts", `</div></p>x</table>`, `x`},
		{"textarea and xmp are text", `<textarea><b>a</b></textarea><xmp><i></xmp>`, `&lt;b&gt;a&lt;/b&gt;&lt;i&gt;`},
		{"svg without an end", `<svg><p>x</p>`, `<p>x</p>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := HTML(c.in, Options{CID: cids})
			if r.HTML != c.want || r.Remote != 0 {
				t.Errorf("remote %d\n got %s\nwant %s", r.Remote, r.HTML, c.want)
			}
			safe(t, r.HTML)
		})
	}
}

// TestRemote is what would tell a server that the mail was opened.
func TestRemote(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		remote         int
	}{
		{"img", `<img src="http://x/p.gif" width=1 height=1>`, `<img width="1" height="1">`, 1},
		{"img https, upper case", `<IMG SRC="HTTPS://x/p.gif" alt="A">`, `<img alt="A">`, 1},
		{"img without scheme", `<img src="//x/p.gif">`, `<img>`, 1},
		{"img with breaks", "<img src=\" h\ntt\tp://x\">", `<img>`, 1},
		{"img with backslashes", `<img src="\\x\p">`, `<img>`, 1},
		{"img relative", `<img src="p.gif">`, `<img>`, 0},
		{"image", `<image src="http://x">`, `<img>`, 1},
		{"srcset", `<img srcset="a.png 1x, http://x 2x" src="http://x">`, `<img>`, 1},
		{"picture", `<picture><source srcset="http://x"><img src="http://x"></picture>`, `<img>`, 2},
		{"two", `<img src=http://x><img src=http://x>`, `<img><img>`, 2},
		{"background", `<table background="http://x/b.png"><td background="http://x/b.png">x`, `<table><td>x`, 2},
		{"body background", `<body background="http://x/b.png">x`, `x`, 1},
		{"css url", `<p style="color:red;background:#fff url('http://x/a.png') no-repeat">x</p>`, `<p style="color: red; background: #fff no-repeat">x</p>`, 1},
		{"css background-image", `<p style="background-image:url(//x)">x</p>`, `<p>x</p>`, 1},
		{"css two urls", `<p style="list-style:url(http://x) disc;background:url(https://x),url(http://x)">x</p>`, `<p style="list-style: disc">x</p>`, 3},
		{"style element", `<style>@import url(http://x);@import "http://x"; @font-face{src:url(http://x)} p{background:url(http://x);color:red}</style>`, `<style>p { color: red }</style>`, 4},
		{"link", `<link rel=stylesheet href="http://x/s.css">x`, `x`, 1},
		{"video", `<video src="http://x" poster="http://x"><source src="http://x"></video>`, ``, 2},
		{"audio", `<audio src=http://x>fallback</audio>`, `fallback`, 1},
		{"input", `<input type=image src=http://x>`, ``, 1},
		{"iframe", `<iframe src="http://x">no</iframe>x`, `x`, 1},
		{"object and embed", `<object data="http://x"><embed src="http://x"></object>`, ``, 2},
		{"bgsound", `<bgsound src="http://x">`, ``, 1},
		{"not remote", `<img src="data:image/png;base64,iVBORw0KGgo="><a href="http://x">x</a>`,
			`<img src="` + pngURI + `"><a href="http://x" target="_blank" rel="noopener noreferrer">x</a>`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := HTML(c.in, Options{})
			if r.HTML != c.want || r.Remote != c.remote {
				t.Errorf("remote %d, want %d\n got %s\nwant %s", r.Remote, c.remote, r.HTML, c.want)
			}
			safe(t, r.HTML)
		})
	}
}

// TestHostile is what must come out as nothing, or as text.
func TestHostile(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`<script>alert(1)</script>x`, `x`},
		{`<SCRIPT SRC=http://x/></SCRIPT>x`, `x`},
		{`<script>alert(1)`, ``},
		{`<img src=x onerror=alert(1)>`, `<img>`},
		{`<img src="cid:svg"><img src="cid:huge"><img src="cid:none">`, `<img><img><img>`},
		{`<p onclick="x()" OnMouseOver=x>a</p>`, `<p>a</p>`},
		{`<a href="javascript:alert(1)">x</a>`, `<a>x</a>`},
		{"<a href=\" &#1; JaVa\tscr\nipt:alert(1)\">x</a>", `<a>x</a>`},
		{`<a href="vbscript:x">x</a><a href="data:text/html,<script>">x</a><a href="file:///etc">x</a><a href="blob:x">x</a>`, `<a>x</a><a>x</a><a>x</a><a>x</a>`},
		{`<a href="//x">x</a><a href="/x">x</a><a href="#x">x</a><a href="http:x">x</a><a href="http:///x">x</a><a href="">x</a>`,
			`<a>x</a><a>x</a><a>x</a><a>x</a><a>x</a><a>x</a>`},
		{`<a href="https://good.example\@evil.example/">x</a>`, `<a href="https://good.example/@evil.example/" target="_blank" rel="noopener noreferrer">x</a>`},
		{`<a href='http://x/"onmouseover="y'>x</a>`, `<a href="http://x/%22onmouseover=%22y" target="_blank" rel="noopener noreferrer">x</a>`},
		{`<img src="data:text/html;base64,PHNjcmlwdD4=">`, `<img>`},
		{`<img src="data:image/svg+xml;base64,PHN2Zz4=">`, `<img>`},
		{`<img src="data:image/png,&quot; onerror=x">`, `<img>`},
		{`<img src="javascript:x"><img src="cid:0"><img src="cid:99999">`, `<img><img><img>`},
		{`<svg><script>alert(1)</script><a xlink:href="javascript:x">t</a></svg>x`, `x`},
		{`<svg><svg></svg><p>in</p></svg>x`, `x`},
		{`<math><mtext><style><img src=x onerror=x></style></mtext></math>x`, `x`},
		{`<svg><style><img title="</style><img src onerror=alert(1)>"></svg>`, ``},
		{`<noscript><p title="</noscript><img src=x onerror=alert(1)>">`, `<img>&#34;&gt;`},
		{`<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>`, ``},
		{`<table><caption><svg><title><table><style><a title="</style><img src onerror=alert(1)>">`, `<table><caption>`},
		{`<math><annotation-xml encoding="text/html"><p title="</annotation-xml><img src onerror=x>">`, `<p title="&lt;/annotation-xml&gt;&lt;img src onerror=x&gt;">`},
		{`<!--<img src="--><img src=x onerror=alert(1)//">`, `<img>`},
		{`<!--[if mso]><script>x</script><![endif]--><![if !mso]>x<![endif]>`, `x`},
		{`<!-- unclosed <b>x`, ``},
		{`<?xml version="1.0"?><![CDATA[<script>x</script>]]>y`, `x]]&gt;y`},
		{`<meta http-equiv=refresh content="0;url=http://x"><base href="http://x/"><link rel=x href=y>x`, `x`},
		{`<form action="http://x"><input name=password><button formaction=x>go</button><select><option>o</select></form>`, `go`},
		{`<iframe srcdoc="<script>x</script>"></iframe><frame src=x><frameset onload=x></frameset>x`, `x`},
		{`<object data=x><param name=x>fallback</object><embed src=x><applet code=x>a</applet>`, `fallback`},
		{`<div style="position:fixed;top:0;left:0;z-index:9;width:100%;height:100%">x</div>`, `<div style="width: 100%; height: 100%">x</div>`},
		{`<div style="height:100vh;margin-top:-500px;transform:scale(9);margin:1px">x</div>`, `<div style="margin: 1px">x</div>`},
		{`<div style="width:expression(alert(1));color:red">x</div>`, `<div style="color: red">x</div>`},
		{`<div style="width:exp/**/ression(alert(1));color:r/**/ed">x</div>`, `<div style="color: r ed">x</div>`},
		{`<div style="background:\75\72\6c(http://x);color:\red">x</div>`, `<div>x</div>`},
		{`<div style="-moz-binding:url(http://x);behavior:url(x);--a:b;content:'x'">x</div>`, `<div>x</div>`},
		{`<div style="color:var(--x);width:calc(1px);background:image-set('http://x' 1x);filter:blur(1px)">x</div>`, `<div>x</div>`},
		{`<div style="font-family:'a;position:fixed;'">x</div>`, `<div>x</div>`},
		{`<div style="color:red;}</style><script>x</script>">x</div>`, `<div style="color: red">x</div>`},
		{`<style>p{color:red}</style><script>x</script>`, `<style>p { color: red }</style>`},
		{`<style>*{x:y}<img src=x onerror=x>{color:red}</style>`, ``},
		{`<style>a[href^="http"]{color:red} b{color:red;background:url(</style><img src=x onerror=x>`, `<style>b { color: red }</style><img>`},
		{`<style>p{}@import 'x';@charset "x";@namespace x;@keyframes k{from{color:red}} q{color:blue}</style>`, `<style>q { color: blue }</style>`},
		{`<style>@media screen{@media print{p{color:red}} i{color:red}} } u{color:red}</style>`, "<style>@media screen {\ni { color: red }\n}\nu { color: red }</style>"},
		{`<p id=x name=y class="a b" class="c" data-x=y>x</p>`, `<p class="a b">x</p>`},
		{`<p class="a&quot;b" width="1 onload" bgcolor="url(x)">x</p>`, `<p>x</p>`},
		{`<img/src="x"/onerror=alert(1)>`, `<img>`},
		{`<img """><script>alert(1)</script>">`, `<img>&#34;&gt;`},
		{`<<script>alert(1)//<</script>`, `&lt;`},
		{`<a href="http://x" ping="http://y" download>x</a>`, `<a href="http://x" target="_blank" rel="noopener noreferrer">x</a>`},
		{`<img usemap=#m><map name=m><area href="javascript:x"></map>`, `<img>`},
		{"<p>a\x00b<scr\x00ipt>x</script></p>", `<p>ab</p>`},
		{`<plaintext><script>x</script>`, `&lt;script&gt;x&lt;/script&gt;`},
		{`<template><img src=x></template><dialog open>x</dialog><details open ontoggle=x><summary>s</summary></details>`, `xs`},
		{`<p title='src="cid:0"'>src="cid:0"<img src="` + pngURI + `"></p>`, `<p title="src=&#34;cid:0&#34;">src=&#34;cid:0&#34;<img src="` + pngURI + `"></p>`},
	} {
		r := HTML(c.in, Options{CID: cids})
		if r.HTML != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.in, r.HTML, c.want)
		}
		safe(t, r.HTML)
	}
}

// safe reads a result as a browser does, with the full parser in a body, and fails for anything that is not on the lists.
// It knows nothing of how the result was made.
func safe(t testing.TB, out string) {
	t.Helper()
	nodes, err := html.ParseFragment(strings.NewReader(out), &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body})
	if err != nil {
		t.Fatal(err)
	}
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		switch n.Type {
		case html.CommentNode, html.DoctypeNode:
			t.Fatalf("a %v is left in\n%s", n.Type, out)
		case html.ElementNode:
			if n.Namespace != "" || !allowed[n.Data] && n.Data != "style" {
				t.Fatalf("element %q is left in\n%s", n.Data, out)
			}
			for _, a := range n.Attr {
				v := strings.ToLower(a.Val)
				switch {
				case strings.HasPrefix(a.Key, "on"), a.Key == "id", a.Key == "name", a.Key == "srcset", a.Key == "background", a.Key == "action":
					t.Fatalf("attribute %q is left in\n%s", a.Key, out)
				case a.Key == "src" && !strings.HasPrefix(v, "data:image/png;base64,") && !strings.HasPrefix(v, "data:image/gif;base64,") &&
					!strings.HasPrefix(v, "data:image/jpeg;base64,") && !strings.HasPrefix(v, "data:image/webp;base64,"):
					t.Fatalf("source %q is left in\n%s", a.Val, out)
				case a.Key == "href" && !strings.HasPrefix(v, "http://") && !strings.HasPrefix(v, "https://") && !strings.HasPrefix(v, "mailto:") && !strings.HasPrefix(v, "tel:"):
					t.Fatalf("link %q is left in\n%s", a.Val, out)
				case a.Key == "style":
					safeCSS(t, v, out)
				}
			}
			if n.Data == "style" {
				safeCSS(t, strings.ToLower(n.FirstChild.Data), out)
				return
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	for _, n := range nodes {
		walk(n)
	}
}

func safeCSS(t testing.TB, css, out string) {
	t.Helper()
	if strings.ContainsAny(css, `\<`) || strings.Contains(css, "/*") {
		t.Fatalf("CSS %q is left in\n%s", css, out)
	}
	for d := range strings.FieldsFuncSeq(css, func(r rune) bool { return r == ';' || r == '{' || r == '}' }) {
		name, value, ok := strings.Cut(strings.TrimSpace(d), ": ")
		if !ok { // a selector, or the head of a media block
			if strings.Contains(d, "@") && !strings.HasPrefix(strings.TrimSpace(d), "@media ") {
				t.Fatalf("CSS %q is left in\n%s", d, out)
			}
			continue
		}
		switch name {
		case "position", "top", "right", "bottom", "left", "inset", "z-index", "transform", "translate", "clip-path", "content", "cursor", "filter",
			"behavior", "-moz-binding", "animation", "transition", "background-image", "list-style-image", "border-image", "mask", "src":
			t.Fatalf("CSS %q is left in\n%s", d, out)
		}
		for _, bad := range []string{"url(", "expression(", "image-set(", "image(", "var(", "attr(", "@", ":"} {
			if strings.Contains(value, bad) {
				t.Fatalf("CSS %q is left in\n%s", d, out)
			}
		}
	}
}

func again(t testing.TB, out string) {
	t.Helper()
	if r := HTML(out, Options{MaxBytes: -1}); r.HTML != out || r.Remote != 0 {
		t.Fatalf("made safe again it is another (remote %d)\nfirst  %q\nsecond %q", r.Remote, out, r.HTML)
	}
}

func FuzzHTML(f *testing.F) {
	for _, s := range []string{
		`<style>p{color:red;background:url(http://x)}</style><p style="color:red" class=a onclick=x>a<img src=cid:logo@x><a href=http://x>b</a>`,
		`<svg><style><img title="</style><img src onerror=x>"></svg>`, `<body bgcolor=red><div></body></div>`, `<a href='java&#10;script:x'>`,
		`<![CDATA[x]]><!--x--!><math><mi><table><td style='font:12px/1 "x"'>`, "<p title=\"`<&quot;\">&#0;&#x10ffff;&lt;", `<style>@media (a){b{c:d}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		r := HTML(in, Options{CID: cids})
		safe(t, r.HTML)
		again(t, r.HTML)
	})
}

// TestBounds feeds what takes long or deep elsewhere.
func TestBounds(t *testing.T) {
	const mb = 1 << 18 // a quarter of one, for all but the one that must be quick at 5
	for name, in := range map[string]string{
		"deep":               strings.Repeat("<div>", mb),
		"deep and closed":    strings.Repeat("<b>", 50_000) + "x" + strings.Repeat("</b>", 50_000),
		"ends":               strings.Repeat("</div>", mb),
		"svg":                strings.Repeat("<svg>", mb),
		"svg ends":           strings.Repeat("<svg><svg></svg>", mb/3),
		"many elements":      strings.Repeat(`<p style="color:red"><a href=http://x>x</a>`, 5<<20/45),
		"attributes":         "<p " + strings.Repeat("a ", mb) + ">",
		"one attribute":      `<p title="` + strings.Repeat("x", 5*mb) + `">`,
		"quotes":             strings.Repeat(`<a href="`, mb/2),
		"less-than":          strings.Repeat("<", 5*mb),
		"comments":           strings.Repeat("<!--", mb),
		"css urls":           "<style>p{background:" + strings.Repeat("url(", mb) + "}</style>",
		"css blocks":         "<style>" + strings.Repeat("a{", mb) + "</style>",
		"css media":          "<style>" + strings.Repeat("@media (x){", mb/3) + "</style>",
		"css comments":       "<style>" + strings.Repeat("/*", mb) + "</style>",
		"css closed comment": "<style>" + strings.Repeat("/**/", mb) + "</style>",
		"css strings":        "<style>p{" + strings.Repeat(`'";`, mb) + "</style>",
		"style attribute":    `<p style="` + strings.Repeat("a:url(", mb) + `">`,
		"entities":           strings.Repeat("&lt", 2*mb),
		"raw":                strings.Repeat("<title>", mb),
		"images":             strings.Repeat(`<img src="cid:logo@x">`, 200_000),
		"text":               strings.Repeat("word ", mb),
	} {
		start := mailtest.ProcessorTime()
		r := HTML(in, Options{CID: cids})
		if d := mailtest.ProcessorTime() - start; d > 20*time.Second {
			t.Errorf("%s: %v for %d octets", name, d, len(in))
		} else {
			t.Logf("%-20s %8d octets %v", name, len(in), d)
		}
		if len(r.HTML) > 10*len(in)+100 {
			t.Errorf("%s: %d octets became %d", name, len(in), len(r.HTML))
		}
	}
	if r := HTML(strings.Repeat("<div>", 2*maxDepth), Options{}); strings.Count(r.HTML, "<div>") != maxDepth {
		t.Errorf("%d levels are left", strings.Count(r.HTML, "<div>"))
	}
	for _, in := range []string{"<b>x</b>", "x<br>", "<p>x", "<table><tr><td>x</table>"} {
		r := HTML(strings.Repeat(in, 2*maxElements), Options{})
		if n := strings.Count(r.HTML, "<") - strings.Count(r.HTML, "</"); n != maxElements || strings.Count(r.HTML, "x") != 2*maxElements {
			t.Errorf("%s: %d elements are left, and %d of the text", in, n, strings.Count(r.HTML, "x"))
		}
		again(t, r.HTML)
	}
	if r := HTML("abcdé", Options{MaxBytes: 5}); r.HTML != "abcd" || !r.Cut {
		t.Errorf("%+v", r)
	}
	if r := HTML(strings.Repeat("x", DefaultMaxBytes+1), Options{}); len(r.HTML) != DefaultMaxBytes || !r.Cut {
		t.Errorf("%d octets are left", len(r.HTML))
	}
	if r := HTML(strings.Repeat("x", DefaultMaxBytes+1), Options{MaxBytes: -1}); r.Cut {
		t.Error("-1 is no bound")
	}
	big := func(string) (string, []byte, bool) { return "image/jpeg", make([]byte, maxImage), true }
	if r := HTML(strings.Repeat("<img src=cid:x>", 9), Options{CID: big}); strings.Count(r.HTML, "src=") != maxImages/maxImage {
		t.Errorf("%d images are left", strings.Count(r.HTML, "src="))
	}
}

// TestPublishedVectors runs what other projects test with, where it is at hand.
func TestPublishedVectors(t *testing.T) {
	dir := os.Getenv("POSTERN_CORPORA")
	if dir == "" {
		t.Skip("POSTERN_CORPORA is not set: it names a folder with bluemonday/vectors.json and dompurify/expect.json")
	}
	var inputs []string
	for _, name := range []string{"bluemonday/vectors.json", "dompurify/expect.json"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.NewDecoder(bytes.NewReader(b)).Decode(&v); err != nil {
			t.Fatal(err)
		}
		inputs = collect(v, inputs)
	}
	t.Logf("%d inputs", len(inputs))
	for _, in := range inputs {
		r := HTML(in, Options{CID: cids})
		safe(t, r.HTML)
		again(t, r.HTML)
	}
}

func collect(v any, to []string) []string {
	switch v := v.(type) {
	case string:
		to = append(to, v)
	case []any:
		for _, e := range v {
			to = collect(e, to)
		}
	case map[string]any:
		for _, e := range v {
			to = collect(e, to)
		}
	}
	return to
}
