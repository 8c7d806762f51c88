// Package sanitize makes the HTML of a mail safe to show.
//
// What it answers holds elements, attributes and CSS properties that are on its lists and nothing else: no script, no
// event handler, no form, no frame, no SVG or MathML, no comment; no URL but links to http, https, mailto and tel, and
// images that are inside of the mail. Nothing in it makes a browser ask a server for anything. It is shown in a sandboxed frame
// with a Content-Security-Policy of its own as well; each of the three would do alone.
//
// It works in two passes over the tokens of golang.org/x/net/html. The first rewrites: it takes remote resources out and
// counts them, puts inline parts in, hardens links, filters CSS. The second reads the result anew and lets through what
// the first may have written, by a list of elements and a rule for each attribute's value, and would stop what the first
// let slip; tests hold it against bluemonday's reading of the same rules. (It was bluemonday itself: its patterns took
// more than half of the time, seconds for a large newsletter in a browser, and 0.1 MB of the engine.) Since no element is let through within which a
// browser reads other than in the body of a page (style in SVG, noscript, template, textarea, ...), the browser reads
// the result as it was meant: markup cannot mutate into another.
//
// Styles stay, for mail is unreadable without: the paragraphs of Outlook's get their margins from a style element. Style
// elements are put together into one, in front. CSS is rewritten by property: those that set type, colour, spacing,
// size, borders, lists and tables are kept, those that take things out of the flow (position, z-index, transform) or load
// (url, image-set, @import, @font-face) are not. A value with a backslash, or with a function other than a colour's,
// goes. Classes stay, ids do not.
//
//   - HTML Living Standard, sections 13.1 and 13.2: syntax and parsing
//   - CSS Syntax Module Level 3
//   - RFC 2392: cid: URLs; RFC 2397: data: URLs
package sanitize
