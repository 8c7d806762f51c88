package turnstile

import (
	"net"
	"net/netip"
	"testing"
)

func TestTurnstile(t *testing.T) {
	gate := New(10, 2)
	far := origin(&net.TCPAddr{IP: net.ParseIP("2001:db8::1")})
	near := origin(&net.TCPAddr{IP: net.ParseIP("127.0.0.1")})
	for i, want := range []bool{true, true, false} {
		if gate.enter(far) != want {
			t.Errorf("connection %d from one place: want %v", i+1, want)
		}
	}
	if origin(&net.TCPAddr{IP: net.ParseIP("2001:db8::2")}) != far || origin(&net.TCPAddr{IP: net.ParseIP("2001:db8:0:1::1")}) == far {
		t.Error("one IPv6 /64 is one place")
	}
	for range 10 {
		if !gate.enter(near) {
			t.Error("loopback is everybody behind the gateway: not one place, and with room of its own")
		}
	}
	if gate.enter(near) {
		t.Error("more than all from loopback")
	}
	for i := range 9 {
		if got := gate.enter(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})); got != (i < 8) {
			t.Errorf("other place %d: %v; 8 of 10 are free", i+1, got)
		}
	}
	gate.leave(far)
	gate.leave(far)
	if len(gate.from) != 9 || !gate.enter(far) {
		t.Errorf("after leaving: %v", gate.from)
	}
}
