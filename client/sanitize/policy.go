package sanitize

import (
	"regexp"
	"strings"
	"sync"

	"github.com/microcosm-cc/bluemonday"
)

// elements are those that a mail may use. None of them runs, loads, submits or changes how what follows is read.
var elements = strings.Fields(`
	a abbr acronym address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del dfn dir div dl dt em
	figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p pre q rp rt ruby s samp section small
	span strike strong sub sup table tbody td tfoot th thead time tr tt u ul var wbr`)

// void elements have no end tag.
var void = map[string]bool{"br": true, "col": true, "hr": true, "img": true, "wbr": true}

var allowed = func() map[string]bool {
	m := map[string]bool{}
	for _, e := range elements {
		m[e] = true
	}
	return m
}()

// The values that attributes may have.
var (
	size    = `^[0-9]{1,5}(\.[0-9]{1,3})?(px|pt|em|%)?$`
	colour  = `^#?[a-zA-Z0-9]{1,30}$`
	word    = `^[a-zA-Z-]{1,20}$`
	number  = `^-?[0-9]{1,5}$`
	text    = `^[^\x00]*$`
	classes = `^[a-zA-Z0-9_ -]{1,1000}$`
	css     = `^[^<>\\@{}\x00-\x1f\x7f]*$`
	link    = `^(https?://|mailto:|tel:)[^\x00-\x20"'<>\\\x60\x7f]*$`
	inside  = `^cid:[0-9]{1,6}$`
)

// attributes says which values an attribute may have; one without elements may be on all.
var attributes = []struct{ names, value, elements string }{
	{"style", css, ""},
	{"class", classes, ""},
	{"title", text, ""},
	{"dir", `^(?i:ltr|rtl|auto)$`, ""},
	{"lang", `^[a-zA-Z0-9-]{1,35}$`, ""},
	{"align valign", word, ""},
	{"bgcolor bordercolor", colour, ""},
	{"width height", size, ""},
	{"href", link, "a"},
	{"target", `^_blank$`, "a"},
	{"rel", `^noopener noreferrer$`, "a"},
	{"src", inside, "img"},
	{"alt", text, "img"},
	{"border hspace vspace", size, "img table"},
	{"cellpadding cellspacing", size, "table"},
	{"frame rules", word, "table"},
	{"colspan rowspan span", number, "td th col colgroup"},
	{"nowrap", `^(?i:nowrap)?$`, "td th"},
	{"scope", word, "td th"},
	{"color", colour, "font hr"},
	{"face", `^[\pL\pN ,'"._-]{1,200}$`, "font"},
	{"size", `^[+-]?[0-9]{1,2}$`, "font hr"},
	{"noshade", `^(?i:noshade)?$`, "hr"},
	{"start value", number, "ol li"},
	{"type", `^[a-zA-Z1]{1,10}$`, "ol ul li"},
	{"clear", word, "br"},
	{"datetime", `^[0-9TZ:+. -]{1,40}$`, "time del ins"},
}

// policy is the second pass. Compiling it takes a millisecond, so it is done once, and not before a mail is opened.
var policy = sync.OnceValue(func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements(elements...)
	p.AllowNoAttrs().OnElements(elements...)
	for _, a := range attributes {
		b := p.AllowAttrs(strings.Fields(a.names)...).Matching(regexp.MustCompile(a.value))
		if a.elements == "" {
			b.Globally()
		} else {
			b.OnElements(strings.Fields(a.elements)...)
		}
	}
	// Links are checked by their pattern. Go's idea of a URL refuses some that work, such as a bare % in a path.
	p.RequireParseableURLs(false)
	return p
})
