package main

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
)

// notify tells the service manager how the gateway is, by the protocol of sd_notify(3): a datagram to the socket that
// NOTIFY_SOCKET names. Without that nobody wants to know.
func notify(env environment, logger *slog.Logger, state string) {
	path, ok := env.lookup("NOTIFY_SOCKET")
	if !ok || path == "" || state == "" {
		return
	}
	if strings.HasPrefix(path, "@") {
		path = "\x00" + path[1:] // the abstract namespace
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		_, err = fmt.Fprintln(conn, state)
		conn.Close()
	}
	if err != nil {
		logger.Warn("the service manager cannot be told", "error", err)
	}
}
