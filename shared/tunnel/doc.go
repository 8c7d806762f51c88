// Package tunnel carries many net.Conns over one WebSocket, between a Postern client (Client, Dialer) and a Postern
// gateway (Serve). Package wire documents what goes over it, and is enough to write either side from.
//
// The multiplexer is hashicorp's yamux, over a MessageConn. yamux was made for two ends that trust each other, on a
// net.Conn that pushes back; here one end is anybody, and a browser's WebSocket never pushes back. So a carrier stands
// between the two:
//
//   - it reads the header of each frame in both directions and refuses what an honest peer never sends (guard.go), so
//     that a hostile or broken peer costs its own session, a bounded amount of memory, and no other session;
//   - its queue takes every frame at once, and conns wait for room in it before they write, so that deadlines, closes,
//     window updates and pings work while the peer takes nothing;
//   - it turns a RST from the peer into a FIN and remembers the difference, so that what was sent before a close is read;
//   - where a WebSocket does not push back, it has the peer show what it has read (pace.go);
//   - it tells a stream that ended from one that was cut, which yamux does not;
//   - it gives yamux whole frames only, and no conn waits inside yamux when a session ends, for yamux holds locks in the
//     one case and spins in the other.
//
// There is no dialing here, and no syscall/js: package wsconn makes a MessageConn of a native WebSocket, package tunneltest
// one in memory; the browser's is client/platform's Socket.
package tunnel
