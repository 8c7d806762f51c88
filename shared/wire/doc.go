// Package wire is what a Postern client and a Postern gateway say to each other: the frames, their reading and writing,
// and their limits. This text is meant to be enough to write either side from, in any language.
//
// # The layers
//
// From the bottom:
//
//   - One WebSocket (RFC 6455) at [Path] of the gateway, with the subprotocol [Subprotocol]. All messages are binary and
//     at most [MaxMessage] bytes; together they are one byte stream in each direction. Where one message ends and the
//     next begins means nothing. No compression. A page may connect from the gateway's own host, and from the origins
//     that its operator has listed; others get 403.
//   - On that byte stream, yamux (https://github.com/hashicorp/yamux/blob/master/spec.md), version 0. The client is
//     yamux's client: it opens streams, with odd ids. The gateway opens none.
//   - In each stream, first frames of this package, then bytes as they are.
//
// # Frames
//
// A frame is a length, four bytes big-endian and at most [MaxFrame], and then as many bytes of JSON (RFC 8259, UTF-8): an
// object with one member, whose name says which frame it is and whose value has the frame's fields.
//
//	0000002e {"hello":{"version":1,"client":"postern 1.0"}}
//
// Fields that are empty or zero may be left out. Fields that the reader does not know are passed over, so that later
// versions can add some; a frame that is not the one due is an error, and so is a field that breaks its rule (see
// [Hello] and the others for the fields, and their Validate methods for the rules). Text fields are one line each:
// nothing in them but printable characters.
//
// # A session
//
// The client opens its first stream, the control stream, with the id 1, and sends
//
//	{"hello":{"version":1,"client":"…","token":"…"}}
//
// The gateway answers on the same stream with one of
//
//	{"welcome":{"version":1,"server":"…","session":"…","embedded":{…},"limits":{"streams":64}}}
//	{"refused":{"reason":"token","detail":"…"}}
//
// Both sides bound the time for this (10 s). After a welcome the control stream stays open for notices, from either side:
//
//	{"notice":{"kind":"draining"}}
//
// means that the gateway is about to end: streams that are open may finish, new ones are refused, and the client should
// connect anew.
//
//	{"notice":{"kind":"refused","stream":5,"reason":"idle","detail":"…"}}
//
// means that the gateway ends a stream that it had opened; see below. Other kinds, and other frames than notices, are passed
// over by who does not know them.
//
// To end a session, a side ends its direction of the control stream (FIN). The other side then does the same. By then
// each has all that the other had sent, and either may close the WebSocket; a side that gets no answer within 5 s closes
// it too. (A WebSocket's own close may overtake data, in a browser.) A WebSocket that closes without this is a cut: a
// reader must not take it for the end of its stream.
//
// # A stream
//
// The client opens a stream and sends an [Open], to the gateway's own mail server, to one that the welcome has beside it,
// or to any other:
//
//	{"open":{"service":"pop3"}}
//	{"open":{"service":"pop3","server":"mail.elsewhere.test"}}
//	{"open":{"service":"pop3s","host":"pop.example.com","port":995}}
//
// A host is a name in ASCII form or an address without brackets; see [CheckHost]. The gateway looks names up, checks each
// address against its policy, connects, and answers with one of
//
//	{"opened":{}}
//	{"refused":{"reason":"denied","detail":"…"}}
//
// After opened, and not a byte earlier, the stream is the TCP connection: TLS, if there is any, is between the client and
// the mail server. After refused the stream is over.
//
// A gateway carries mail and nothing else. Where the server speaks first, it answers opened once the server has greeted as one of
// that service does. Where TLS comes first, it lets through what begins as TLS on either side. Later on it may have to end a
// stream, as for one that says nothing for too long. It then says so by the notice "refused" with the stream's number in
// yamux; the client closes that stream, which is cut if it does not within 5 s, as one is that has not understood.
//
// # Data connections of FTP
//
// A gateway whose welcome has the capability "ftp-data" opens them, beside a stream of ftp or ftps that is open in the same
// session. The client names that stream by its number in yamux, and the port that the server has answered to EPSV or PASV:
//
//	{"open":{"service":"ftp-data","control":5,"port":50123}}
//
// There is no host in it: the gateway connects to the very address to which the control connection goes. It opens none that is
// beside no such stream, or beside one of which a direction has ended, and none to a port below [MinDataPort]; a data connection
// that is open may go on when its control connection ends. It is answered as any other stream is, and not guarded: such a
// connection has no greeting, and TLS in it is between client and server. Of those beside one control connection only few may
// be open at a time, and fewer connections that fail are borne in a minute than others.
//
// # Refusals
//
// The reasons of a refusal:
//
//	denied        the gateway's policy does not allow this target; for a session, nothing
//	no-such-host  the name does not exist, or has no address
//	unreachable   the connection was refused, or there is no way there, or the lookup failed
//	timeout       no connection within the gateway's time
//	too-many      a limit on sessions (at hello) or streams (at open) is reached
//	version       the gateway does not speak the hello's version
//	token         the access token is missing or wrong
//	login         the proxy before the gateway has not said who this is
//	locked-out    too many wrong tokens came from the client's address; even the right one has to wait
//	too-fast      a limit on sessions (at hello) or streams (at open) in a minute is reached
//	not-mail      what answers there is not the service, or what is sent is not TLS where TLS comes first
//	idle          nothing went through the stream for too long (in a notice)
//	expired       the stream was open for as long as one may be (in a notice)
//	malformed     the frame breaks a rule
//	draining      the gateway is ending; connect anew
//	internal      a fault in the gateway
//
// # Discovery
//
// A gateway whose welcome has the capability "discover" looks up for the client what a browser cannot: the SRV records
// (RFC 6186) of a mail domain and its autoconfig file over HTTPS. The client opens a stream to the service "discover",
// without a host, sends after the opened
//
//	{"discover":{"domain":"example.com"}}
//
// and gets one of
//
//	{"discovered":{"provider":"…","services":[{"service":"pop3s","host":"pop.example.com","port":995,"source":"srv"}]}}
//	{"refused":{"reason":"denied","detail":"…"}}
//
// after which the stream is over. The question has the domain alone, not whose mailbox it is.
//
// # Ends
//
// FIN ends one direction: the other goes on (half-close). RST ends both, and is no proper end: a relay sends it when what
// it relays was cut. A side that has closed a stream for good sends FIN, and then RST as soon as more data comes for it,
// or when no FIN has come in answer for 5 s. So a reader must keep what came before a RST, and give it out before it says
// how the stream ended: at FIN, even with a RST after it, properly; at RST alone, short. (Many a yamux throws away what
// is unread when a RST comes. Package tunnel does not let it.)
//
// # Limits
//
// What ends a session, with the WebSocket's close: a message over [MaxMessage]; a data frame over the window; a yamux header
// that is no header; a stream opened by the gateway, with an even id, or twice; a second FIN; an answer on a stream that is
// not open yet; more data for a stream that was reset than a window; more streams open than twice what the welcome's limits
// say, or than four beside the control stream before the welcome; more than a hundred new streams in a second over a longer
// time, or than four yamux pings beside one for each 16 KiB that are sent. A stream beyond the limit is refused (too-many).
// A side that hears nothing for 20 s sends a yamux ping; one that hears nothing for 60 s may take the other for gone. The
// gateway closes a stream without a byte either way after the idleSeconds of its limits.
//
// # Versions
//
// A change that an older reader may pass over (a field, a notice, a capability, a reason) is made within a version. Any
// other is a new version, with a new subprotocol. A capability is a name in hello or welcome by which a side says that it
// understands something more; version 1 begins with none.
package wire
