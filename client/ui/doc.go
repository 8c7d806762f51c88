// Package ui draws client/view's state with vugu components, thin over it: what a component shows it reads from the
// view, and what a person does there it passes on to an intent of the view. Markup is in x.vugu, its Go in x.go; the
// look is in the style sheets of public alone (the page's CSP forbids inline styles).
package ui
