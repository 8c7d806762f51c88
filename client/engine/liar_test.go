package engine

import (
	"testing"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/wire"
)

// A gateway, or whoever answers in a domain's name, that names one of two servers: what it named does not pass for the other
// source's, which the page believes without asking.
func TestHalfALieIsALie(t *testing.T) {
	for name, test := range map[string]struct {
		email string
		found []wire.Found
		want  api.Origin
	}{
		"SRV, and the list": {"somebody@gmail.com", []wire.Found{
			{Service: wire.POP3S, Host: "pop.evil.example", Port: 995, Source: wire.SourceSRV}}, api.OriginSRV},
		"a file, and the list": {"somebody@gmail.com", []wire.Found{
			{Service: wire.Submissions, Host: "smtp.evil.example", Port: 465, Source: wire.SourceAutoconfig}}, api.OriginAutoconfig},
		"SRV, and guesses": {dora, []wire.Found{
			{Service: wire.POP3S, Host: "pop.evil.example", Port: 995, Source: wire.SourceSRV}}, api.OriginSRV},
		"SRV, and a file": {dora, []wire.Found{
			{Service: wire.POP3S, Host: "pop.evil.example", Port: 995, Source: wire.SourceSRV},
			{Service: wire.Submissions, Host: "smtp.example.org", Port: 465, Source: wire.SourceAutoconfig}}, api.OriginAutoconfig},
	} {
		t.Run(name, func(t *testing.T) {
			inDiscovery(t, func(t *testing.T, w *world, _ *provider) {
				w.gateway.lookUp = func(string) (wire.Discovered, *wire.RefusedError) {
					return wire.Discovered{Services: test.found}, nil
				}
				evil := 0
				for _, c := range w.discover(test.email).Candidates {
					if c.Servers.POP3.Host != "pop.evil.example" && c.Servers.SMTP.Host != "smtp.evil.example" {
						continue
					}
					if evil++; c.Origin != test.want {
						t.Errorf("%+v, want %s", c, test.want)
					}
				}
				if evil == 0 {
					t.Error("it was not found")
				}
			})
		})
	}
}

// A gateway that says that it is home to a large provider's domain does not get its users' passwords for that.
func TestNoGatewayIsHomeToAProvider(t *testing.T) {
	inDiscovery(t, func(t *testing.T, w *world, _ *provider) {
		w.gateway.welcome.Embedded.Domains = append(w.gateway.welcome.Embedded.Domains, "gmail.com")
		_, err := w.SignIn(t.Context(), api.SignIn{Email: "somebody@gmail.com", Password: "secret"})
		if code(err) != api.CodeSettingsNeeded || len(w.gateway.reached) != 0 {
			t.Errorf("%v, reached %v", err, w.gateway.reachedHosts())
		}
		d := w.discover("somebody@gmail.com")
		if len(d.Candidates) != 1 || d.Candidates[0].Origin != api.OriginProvider {
			t.Errorf("%+v", d)
		}
	})
}
