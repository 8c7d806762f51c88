// Package e2e drives the whole of Postern as its users do: the gateway as a process of its own, real Chromium with
// real profiles, the page, the engine, the tunnel and the embedded mail server between them.
//
// The package has tests alone. They need the browser that `task test` installs (Debian's chromium) and skip with a clear
// line where there is none.
package e2e
