package wire

import (
	"errors"
	"fmt"
	"io"
)

// Discovery is the service whose streams carry a Discover and its answer instead of bytes: look-ups that a browser cannot
// make. A gateway that has it says so by the capability CapDiscover in its Welcome.
const Discovery ServiceName = "discover"

// CapDiscover is the capability of a gateway that answers a Discover.
const CapDiscover = "discover"

// Discover asks which servers serve the mail of a domain. It carries no address: whose mailbox it is, the gateway need
// not know. See RFC 6186.
type Discover struct {
	Domain string `json:"domain"` // in its ASCII form
}

// Discovered answers a Discover. No Services means that the look-ups found nothing.
type Discovered struct {
	Provider string  `json:"provider,omitempty"` // its name, for people
	Services []Found `json:"services,omitempty"` // for each service the best first
}

// The sources of what is found, the most trustworthy first.
const (
	SourceSRV        = "srv"        // RFC 6186 and RFC 8314 section 5.1
	SourceAutoconfig = "autoconfig" // the domain's own configuration file, over HTTPS
)

// Found is one service of a domain. Services without TLS are never told of.
type Found struct {
	Service ServiceName `json:"service"` // POP3 (STLS), POP3S, Submission (STARTTLS) or Submissions
	Host    string      `json:"host"`
	Port    int         `json:"port"`
	Source  string      `json:"source"`
	// User is how the login name is made, with %EMAILADDRESS%, %EMAILLOCALPART% and %EMAILDOMAIN% to be filled in by the
	// client; empty if unsaid.
	User string `json:"user,omitempty"`
}

const (
	maxFound = 32
	maxUser  = 128
)

// WriteDiscover writes d, after validating it.
func WriteDiscover(w io.Writer, d Discover) error { return write(w, &d, frame{Discover: &d}) }

// ReadDiscover reads a Discover.
func ReadDiscover(r io.Reader) (Discover, error) {
	f, err := read(r)
	if err != nil {
		return Discover{}, err
	}
	if f.Discover == nil {
		return Discover{}, unexpected("discover")
	}
	return *f.Discover, check(f.Discover)
}

// WriteDiscovered writes d, after validating it.
func WriteDiscovered(w io.Writer, d Discovered) error {
	return write(w, &d, frame{Discovered: &d})
}

// ReadDiscovered reads the answer to a Discover. A refusal is returned as a *RefusedError.
func ReadDiscovered(r io.Reader) (Discovered, error) {
	f, err := read(r)
	if err != nil {
		return Discovered{}, err
	}
	if f.Refused != nil {
		return Discovered{}, refusal(f.Refused)
	}
	if f.Discovered == nil {
		return Discovered{}, unexpected("discovered")
	}
	return *f.Discovered, check(f.Discovered)
}

// Validate says what is wrong with d, if anything.
func (d *Discover) Validate() error { return CheckHost(d.Domain) }

// Validate says what is wrong with d, if anything.
func (d *Discovered) Validate() error {
	err := errors.Join(text("provider", d.Provider, maxProduct), count("services", len(d.Services), maxFound))
	if err != nil {
		return err
	}
	for i := range d.Services {
		err = errors.Join(err, d.Services[i].Validate())
	}
	return err
}

// Validate says what is wrong with f, if anything.
func (f *Found) Validate() error {
	switch f.Service {
	case POP3, POP3S, Submission, Submissions:
	default:
		return fmt.Errorf("service: %q is none to be found", f.Service)
	}
	return errors.Join(CheckHost(f.Host), port(f.Port), label("source", f.Source, maxLabel), text("user", f.User, maxUser))
}
