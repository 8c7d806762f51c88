// Package render puts what vugu's components build into the page, touching only what changed.
//
// vugu's own renderer needs eval (and so a Content-Security-Policy that allows it), rewrites innerHTML at every render,
// and keys components but not their elements: focus, caret, selection, scroll position and frames are lost when a list
// is reordered. This package takes the same public build results (vugu.BuildResults, vugu.VGNode) and compares each
// build with the one before it, in Go:
//
//   - An element produced by a component stays with that component (that is, with its vg-key) wherever it moves among
//     its siblings. Other elements are matched by what they are (tag, data-testid, id) and by order; text nodes by order.
//   - Attributes, listeners and inner HTML are written when they differ from the build before. A class given twice
//     (static and dynamic) is merged.
//   - Properties that a person can change (.value, .checked) are written when the model changed them, or when the model
//     answered an input event with something else than what stands there; never while an input method is composing.
//   - Renders are coalesced to one per animation frame, or run by a timer while the page is hidden.
//   - A panic in a handler, in a build or in an update is caught and reported; the page goes on.
//
// The comparison itself (tree) knows the DOM through a small interface and is tested natively; the part that speaks to
// the browser is dom_js.go, and the Renderer is render_js.go.
package render
