package config

import (
	"flag"
	"log/slog"
	"time"
)

// defaults is a gateway that serves one machine: everything on the loopback interface, on ports that need no privilege.
// The mail ports are the well-known ones plus 2000 or 2500, so that a person recognises them.
func defaults() Config {
	return Config{
		Command:     Serve,
		Listen:      "127.0.0.1:8080",
		Data:        "postern-data",
		Mail:        true,
		Deliver:     true,
		Hostname:    "postern.test",
		SMTP:        "127.0.0.1:2525",
		Submission:  "127.0.0.1:2587",
		Submissions: "127.0.0.1:2465",
		POP3:        "127.0.0.1:2110",
		POP3S:       "127.0.0.1:2995",
		Control:     "127.0.0.1:0",
		FTPQuota:    1 << 30,
		LogLevel:    slog.LevelInfo,
		LogFormat:   "text",
		Drain:       4 * time.Second, // most programs that stop others wait ten seconds before they kill

		Limits: defaultLimits(),

		BasePath:      "/",
		ACMEDirectory: "https://acme-v02.api.letsencrypt.org/directory",
	}
}

// setting is one thing that can be set: --name, POSTERN_NAME, or a key of the file.
type setting struct {
	name  string
	usage string
	value flag.Value
}

// section is settings that belong together, under a heading.
type section struct {
	title    string
	settings []setting
}

// sections binds every setting to its field of c, in the order in which help and the example show them.
func sections(c *Config) []section {
	return []section{
		{"The page", []setting{
			{"listen", "`address` of the page and the tunnel", (*address)(&c.Listen)},
			{"base-path", "`path` below which the page is, such as /mail/, where it shares its name with other things", (*basePath)(&c.BasePath)},
			{"origin", "`origin` besides the gateway's own whose page may open a tunnel, such as https://mail.example.org; may be repeated", (*origins)(&c.Origins)},
			{"trusted-proxy", "`network` of a proxy in front, whose X-Forwarded-For header names the client; may be repeated", (*networks)(&c.TrustedProxies)},
		}},
		{"Who may open a tunnel, and where it leads", []setting{
			{"token", "`secret` of 16 characters or more that a browser must present, or name:secret; may be repeated, and a file holds one a line", (*secret)(&c.Token)},
			{"user-header", "`name` of the header in which a proxy in front says whom it has let in, such as Remote-User; it must take it out of what clients send", (*text)(&c.UserHeader)},
			{"user-proxy", "`network` of the proxies whose user-header counts (default: those of trusted-proxy); may be repeated", (*networks)(&c.UserProxies)},
			{"policy", "where tunnels lead, a `policy`: embedded is the gateway's own mail server alone; list, what allow names too; mail, the mail ports of any public host, for those with a token or a name (default: embedded, or list with an allow)", (*policy)(&c.Policy)},
			{"allow", "`host:port` of a mail server that the tunnel may reach, such as pop.example.org:995 or *.example.org:*; may be repeated", (*targets)(&c.Allow)},
			{"allow-network", "`network` of private addresses that the names may lead to, such as 192.168.1.0/24; may be repeated", (*networks)(&c.AllowNetworks)},
			{"never", "`network` that nothing may lead to, though its addresses be public; may be repeated", (*networks)(&c.Never)},
		}},
		{"What each may cost; 0 stands for no limit", limitSettings(&c.Limits)},
		{"TLS, for the page and the mail server", []setting{
			{"certificate", "`file` with the certificate and what leads from it to its authority, PEM; read again when it changes", (*text)(&c.Certificate)},
			{"key", "`file` with the certificate's key, PEM", (*text)(&c.Key)},
			{"acme", "`name` for which to get a certificate from an authority and to keep it new, which says yes to the authority's terms; may be repeated", (*domains)(&c.ACME)},
			{"acme-email", "`address` that the authority writes to if something is wrong", (*text)(&c.ACMEEmail)},
			{"acme-directory", "`url` of the authority, by RFC 8555", (*directory)(&c.ACMEDirectory)},
			{"acme-root", "`file` with the certificate that the authority's own server is believed by, PEM, if that is none that everybody believes", (*text)(&c.ACMERoot)},
			{"http", "`address` that leads browsers from http to https, and answers the authority, or off", (*listener)(&c.HTTP)},
			{"plain-page", "no TLS at the page's address, in spite of a certificate: a proxy in front has it", (*toggle)(&c.PlainPage)},
		}},
		{"The embedded mail server", []setting{
			{"mail", "run the embedded mail server", (*toggle)(&c.Mail)},
			{"data", "`folder` that keeps the mail", (*text)(&c.Data)},
			{"demo", "run two mail servers that write to each other and to nobody else, with three accounts whose passwords are printed", (*toggle)(&c.Demo)},
			{"hostname", "`name` of the embedded mail server", (*text)(&c.Hostname)},
			{"domain", "`domain` whose mail the embedded server keeps; may be repeated (default: the hostname)", (*domains)(&c.Domains)},
			{"smtp", "`address` that takes mail from other servers, or off", (*listener)(&c.SMTP)},
			{"submission", "`address` that takes mail from clients, STARTTLS, or off", (*listener)(&c.Submission)},
			{"submissions", "`address` that takes mail from clients, TLS, or off", (*listener)(&c.Submissions)},
			{"pop3", "`address` that gives mail to clients, STLS, or off", (*listener)(&c.POP3)},
			{"pop3s", "`address` that gives mail to clients, TLS, or off", (*listener)(&c.POP3S)},
			{"control", "`address` of the administrators' page, TLS, or off: browsers reach it through the tunnel", (*listener)(&c.Control)},
			{"deliver", "deliver mail for other domains to their servers; off leaves it in the queue", (*toggle)(&c.Deliver)},
			{"refuse-forged", "refuse mail that its author's domain wants refused (DMARC p=reject), instead of taking it as junk", (*toggle)(&c.RefuseForged)},
			{"greylist", "let servers that nobody here has had mail from try again some minutes later", (*toggle)(&c.Greylist)},
		}},
		{"Files, for the users of the embedded mail server", []setting{
			{"ftp", "`address` of the FTP server, AUTH TLS, or off (default: off, and with a demo 127.0.0.1:2121)", (*listener)(&c.FTP)},
			{"ftps", "`address` of the same, TLS from the start, or off", (*listener)(&c.FTPS)},
			{"ftp-passive", "`ports` that clients open data connections to, such as 50000-50100, which a firewall must let through; or any", (*ports)(&c.FTPPassive)},
			{"ftp-public", "`address` of IPv4 that clients elsewhere are told to open them to, where a router translates it (default: the one by which they came)", (*ipv4)(&c.FTPPublic)},
			{"ftp-quota", "`size` of what each user may keep, or none; for single ones `postern user files` says another", (*size)(&c.FTPQuota)},
		}},
		{"Running it", []setting{
			{"log", "`level` of the log: debug, info, warn or error", (*level)(&c.LogLevel)},
			{"log-format", "`format` of the log: text or json", (*logFormat)(&c.LogFormat)},
			{"metrics", "`address` that answers Prometheus on /metrics, or off; it asks for no password", (*listener)(&c.Metrics)},
			{"drain", "`time` that what is open gets to end when the gateway is told to stop", (*span)(&c.Drain)},
			{"dev", "`folder` to serve the page from, reloading it on change", (*text)(&c.Dev)},
		}},
	}
}

// settings are those of all sections.
func settings(c *Config) []setting {
	var all []setting
	for _, s := range sections(c) {
		all = append(all, s.settings...)
	}
	return all
}
