//go:build !unix

package bridge

import "net"

// atOnce is for sockets that can be asked for what they do without waiting.
type atOnce struct{}

func writesAtOnce(net.Conn) *atOnce { return nil }

func readsAtOnce(net.Conn) *atOnce { return nil }

func (*atOnce) move([]byte) int { return 0 }

func (*atOnce) wait() {}
