// Package api is what the page and the mail engine say to each other.
//
// The page (client/view, client/ui) renders; the engine (client/engine) keeps the mail and speaks POP3, SMTP and FTP. In the
// browser they are two WebAssembly instances, the engine in a Web Worker, and a Frame travels over a MessagePort (or a
// BroadcastChannel, from a tab that does not hold the engine). In tests they are two goroutines joined by Pipe. Either
// way the page sees a Client, and the engine implements Service.
//
// A call is one request frame and one reply frame with the same ID; an event is a frame from the engine with ID 0. A
// frame's body is JSON; bulk bytes (an attachment, a message's source, pieces of files) travel beside it in Blob, which the browser
// transfers without copying.
package api
