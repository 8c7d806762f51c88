// Package tunnel carries many net.Conns over one WebSocket, between a Postern client (Client, Dialer) and a Postern
// gateway (Serve). Package wire documents what goes over it, and is enough to write either side from.
//
// The wire is yamux's (https://github.com/hashicorp/yamux/blob/master/spec.md), and any yamux may be at the other end, as the
// tests have hashicorp's. The multiplexer (mux) is our own. hashicorp's was made for two ends that trust each other, on a net.Conn
// that pushes back; here one end is anybody, and a browser's WebSocket never pushes back. What it cannot be made to do from outside:
//
//   - the header of each frame is judged before anything is done for it, and what an honest peer never sends ends the session
//     (mux.judge), so that a hostile or broken peer costs its own session, a bounded amount of memory, and no other session;
//   - windows begin small, grow with use and share one bound (inbox), so that a fast line is filled and idle streams hold nothing;
//   - conns wait for room in the queue before they write, and what the session itself has to say does not (outbound), so that
//     deadlines, closes, window updates and pings work while the peer takes nothing;
//   - what was sent before a RST is read, and a stream that ended is told from one that was cut (mux.finished);
//   - a relay's octets go from the one side's buffer into the other's (Conn.WriteTo, Conn.ReadFrom), and messages are filled;
//   - where a WebSocket does not push back, the peer has to show what it has read (pace);
//   - a session at rest has one goroutine, and no memory for what may come.
//
// Locks are taken in this order: Conn.writing, mux.mu, inbox.mu. The goroutine that reads the session takes the last two alone,
// under which nobody waits but in their sync.Cond, which lets go of them. A Taker is called with inbox.mu held.
//
// There is no dialing here, and no syscall/js: package wsconn makes a MessageConn of a native WebSocket, package tunneltest
// one in memory; the browser's is client/platform's Socket.
package tunnel
