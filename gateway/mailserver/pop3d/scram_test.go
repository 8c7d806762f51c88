package pop3d

import (
	"errors"
	"net"
	"testing"

	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/sasl"
)

func TestLoginBySCRAM(t *testing.T) {
	addr, _ := start(t, drops(hello), nil)
	for _, c := range []struct {
		user, password string
		refused        bool
	}{{"alice@postern.test", "secret word", false}, {"alice@postern.test", "secret", true}, {"nobody", "secret word", true}} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		client := pop3.New(conn, nil)
		_, err = client.Auth(t.Context(), sasl.Credentials{User: c.user, Password: c.password}, sasl.SCRAMSHA256)
		var answer *pop3.Error
		if errors.As(err, &answer) != c.refused || c.refused && answer.Code != "AUTH" || !c.refused && err != nil {
			t.Errorf("%s %q: %v", c.user, c.password, err)
		}
		if err := client.Quit(t.Context()); err != nil {
			t.Error(err)
		}
		client.Close()
	}
}

// Guessing by SCRAM ends the connection as guessing by a password does.
func TestGuessingBySCRAMEndsTheConnection(t *testing.T) {
	addr, _ := start(t, drops(), nil)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	client := pop3.New(conn, nil)
	defer client.Close()
	for range 3 {
		var answer *pop3.Error
		if _, err := client.Auth(t.Context(), sasl.Credentials{User: "a", Password: "wrong"}, sasl.SCRAMSHA256); !errors.As(err, &answer) {
			t.Fatal(err)
		}
	}
	if err := client.Noop(t.Context()); err == nil {
		t.Error("a fourth guess was let in")
	}
	if _, err := client.Capa(t.Context()); err == nil {
		t.Error("the connection is still open")
	}
}
