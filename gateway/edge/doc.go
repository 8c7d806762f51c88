// Package edge lets package bridge run in a Cloudflare Worker: a Dialer over cloudflare:sockets and a Socket over one end of a
// WebSocketPair, by syscall/js. HTTP is github.com/syumai/workers'; its own sockets cannot serve here: a deadline that was
// taken back stays, one that passed breaks all later reads, and an address is nil.
//
// One instance of the program lives in a Durable Object of its own for each session, since a Worker's request may not touch
// what another's has opened; wasm/edge/worker.mjs starts it.
//
// What holds there as it does natively: the policy by name, address, port and service, the guard of first words, the token, the
// Origin, the limits of a session, the tunnel's windows, and, because a Worker's WebSocket takes whatever is sent, the tunnel's
// pace (tunnel.Unpaced). A token there must be: no server of its own is behind a Worker.
// What does not:
//   - names are looked up by the platform, so a rule for a name is kept by the name alone, and a policy that speaks of the networks
//     which names lead to is refused. Cloudflare connects to no private address, whatever name leads there; workerd as it comes does
//     not either. There is no Discover;
//   - port 25 is closed, and a session has at most six connections (Streams);
//   - limits over several sessions of one client or user are the platform's (CLIENTS and SITES in wasm/edge/wrangler.jsonc: new sessions
//     in a minute), since instances know nothing of each other; wrong tokens lock nobody out, but thirty of them in a minute are all
//     that anybody can try;
//   - a connection cannot be reset, so a target takes a client's cut for an end; and one to a target that takes nothing, when its
//     stream is closed, lasts until it does or the session ends.
package edge

// Streams is how many TCP connections the platform lets one session have at one time.
const Streams = 6

// InFlight is how many bytes the platform may hold for a client that does not take them: 10 MB/s at a round trip of
// 100 ms, and an eighth of a Worker's memory for eight such clients.
const InFlight = 1 << 20
