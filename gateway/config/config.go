// Package config says how a gateway is set up: flags over environment (POSTERN_*) over a TOML file over defaults.
//
// One table (settings.go) names every setting once; the flag, the variable, the key in the file, the usage text and the
// example file all come from it, so they cannot drift apart. A secret can also be in a file of its own: --token-file,
// POSTERN_TOKEN_FILE, token-file. Parse finds everything that is wrong, not the first thing.
package config

import (
	"log/slog"
	"net/netip"
	"time"
)

// Off, as a mail listener's address, means that the embedded server does not offer that service.
const Off = "off"

// Config is a gateway's whole set-up. Listen addresses are host:port; an empty host means every interface.
type Config struct {
	Command Command
	Args    []string // what is left on the command line, as many as the command takes

	WithMail bool // user remove: its mail goes, too
	Off      bool // user admin: no longer
	Mend     bool // fsck: mend what can be mended

	For time.Duration // world fault: how long; 0: until it is switched off

	File string // that the settings were read from; "" without one

	Listen   string // the page and the tunnel
	BasePath string // what is served begins there: "/", or "/mail/"
	Data     string // the folder that holds the embedded server's mail
	Demo     bool   // run a world of two mail servers, with accounts whose passwords are printed

	Mail     bool     // run the embedded mail server
	Hostname string   // the embedded server's name: greeting, Received fields, certificate
	Domains  []string // the domains whose mail it keeps

	// Where the embedded server listens; "" where the setting says off.
	SMTP, Submission, Submissions, POP3, POP3S, Control string

	// FTP, for the users of the embedded server. "" where the setting says off.
	FTP, FTPS  string
	FTPAnyPort bool   // another port will do, where that of FTP is in use: nobody has asked for that one
	FTPPassive Ports  // of data connections that clients open
	FTPPublic  string // address of IPv4 that clients elsewhere are told to open them to; "": the one by which they came
	FTPQuota   int64  // octets of each user's files; 0: no limit

	Deliver      bool // mail for other domains
	RefuseForged bool // refuse what its author's domain wants refused (DMARC), instead of taking it as junk
	Greylist     bool // let senders that are new wait some minutes

	Origins []string // origins besides the gateway's own that may open a tunnel
	// TrustedProxies are the networks of those that say who their client is.
	TrustedProxies []netip.Prefix

	Token       string         // what lets in: a secret on each line, or name:secret; "" asks for none
	UserHeader  string         // the header in which a proxy says whom it has let in; "" means none
	UserProxies []netip.Prefix // whose word counts for that

	Policy string   // embedded, list or mail; "" for what follows from Allow
	Allow  []string // host:port targets beyond the embedded server that a tunnel may reach
	// AllowNetworks are private addresses that their names may lead to; Never those that nothing leads to.
	AllowNetworks, Never []netip.Prefix

	Limits Limits

	// TLS: a pair of files, or names to get a certificate for from an authority that speaks ACME (RFC 8555).
	Certificate, Key                   string
	ACME                               []string
	ACMEEmail, ACMEDirectory, ACMERoot string
	HTTP                               string // listens for plain HTTP, which leads to https; "" where the setting says off
	PlainPage                          bool   // the page's own listener has no TLS

	Dev       string        // a folder to serve the page from, instead of the embedded one, reloading on change
	LogLevel  slog.Level    // what the log leaves out
	LogFormat string        // "text" or "json"
	Metrics   string        // listens for Prometheus; "" where the setting says off
	Drain     time.Duration // what is open gets so long when the gateway stops
}

// Ports is a range of them; zero is any that is free.
type Ports struct{ First, Last uint16 }

// TLS says whether the page's own listener speaks it.
func (c *Config) TLS() bool { return c.HasCertificate() && !c.PlainPage }

// HasCertificate says whether there is one besides the mail server's self-signed one.
func (c *Config) HasCertificate() bool { return c.Certificate != "" || len(c.ACME) > 0 }
