// Package wasm has the programs that run as WebAssembly, each a main of a screenful: app is the page, engine the Web
// Worker with the mail in it, edge the gateway's bridge on Cloudflare Workers. Pack makes the files a browser loads out of them and of public.
//
// The tests here watch over the whole module: what may import what, what the page must not link, how large it may be.
package wasm
