// Package promise lets Go wait for the browser: promises, requests of IndexedDB, and exceptions as errors.
//
// A goroutine may wait here; a callback of the browser (js.FuncOf) may not, because the event loop that would settle
// the promise does not turn before the callback returns.
package promise
