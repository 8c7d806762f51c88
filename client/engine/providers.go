package engine

import (
	"strings"

	"github.com/postern-mail/postern/client/api"
)

// mailProvider is a large provider whose users have POP3. pop and smtp are host:port; the port says the security.
type mailProvider struct {
	name    string
	domains string
	pop     string
	smtp    string
	help    string
}

// What users have to do first, where their password alone does not do.
const (
	helpApp     = "This provider wants an app password here: make one in its account settings, under security."
	helpEnable  = "Switch POP3 on in this provider's settings first."
	helpBoth    = "Switch POP3 on in this provider's settings, and make an app password there: it is wanted here in place of yours."
	helpCode    = "Switch POP3 on in this provider's settings; the authorization code that you get there is the password here."
	helpNone    = "This provider takes no passwords from mail programs any more, and Postern cannot sign in to it in another way yet."
	helpSubside = "This provider keeps a password of its own for mail programs: set it in its account settings."
)

// providers is what comes with Postern: those large ones that still have POP3, as of 2026. Others are found by their own
// records, or by guessing.
var providers = []mailProvider{
	{"Gmail", "gmail.com googlemail.com", "pop.gmail.com:995", "smtp.gmail.com:465", helpBoth},
	{"Outlook.com", "outlook.com outlook.de outlook.fr outlook.es outlook.it outlook.jp hotmail.com hotmail.de hotmail.fr hotmail.it hotmail.es hotmail.co.uk hotmail.co.jp live.com live.de live.fr live.nl live.co.uk live.jp msn.com",
		"outlook.office365.com:995", "smtp-mail.outlook.com:587", helpNone},
	{"Yahoo", "yahoo.com ymail.com rocketmail.com yahoo.co.uk yahoo.de yahoo.fr yahoo.es yahoo.it yahoo.ca yahoo.in yahoo.co.in yahoo.com.au yahoo.com.br yahoo.com.mx yahoo.com.ar",
		"pop.mail.yahoo.com:995", "smtp.mail.yahoo.com:465", helpApp},
	{"Yahoo! Japan", "yahoo.co.jp ymail.ne.jp", "pop.mail.yahoo.co.jp:995", "smtp.mail.yahoo.co.jp:465", helpEnable},
	{"AOL", "aol.com aim.com verizon.net", "pop.aol.com:995", "smtp.aol.com:465", helpApp},
	{"AT&T", "att.net sbcglobal.net bellsouth.net", "inbound.att.net:995", "outbound.att.net:465", helpSubside},
	{"GMX", "gmx.de gmx.net gmx.at gmx.ch", "pop.gmx.net:995", "mail.gmx.net:465", helpEnable},
	{"GMX", "gmx.com gmx.us gmx.co.uk gmx.fr gmx.es", "pop.gmx.com:995", "mail.gmx.com:465", helpEnable},
	{"WEB.DE", "web.de", "pop3.web.de:995", "smtp.web.de:587", helpEnable},
	{"mail.com", "mail.com email.com usa.com", "pop.mail.com:995", "smtp.mail.com:465", helpEnable},
	{"T-Online", "t-online.de magenta.de", "securepop.t-online.de:995", "securesmtp.t-online.de:465", helpSubside},
	{"freenet", "freenet.de", "mx.freenet.de:995", "mx.freenet.de:465", ""},
	{"Posteo", "posteo.de posteo.net posteo.org", "posteo.de:995", "posteo.de:465", ""},
	{"mailbox.org", "mailbox.org", "pop3.mailbox.org:995", "smtp.mailbox.org:465", ""},
	{"Fastmail", "fastmail.com fastmail.fm", "pop.fastmail.com:995", "smtp.fastmail.com:465", helpApp},
	{"Zoho", "zoho.com zohomail.com", "pop.zoho.com:995", "smtp.zoho.com:465", helpEnable},
	{"Yandex", "yandex.com yandex.ru ya.ru yandex.by yandex.kz", "pop.yandex.com:995", "smtp.yandex.com:465", helpBoth},
	{"Mail.ru", "mail.ru inbox.ru list.ru bk.ru", "pop.mail.ru:995", "smtp.mail.ru:465", helpBoth},
	{"QQ", "qq.com foxmail.com", "pop.qq.com:995", "smtp.qq.com:465", helpCode},
	{"NetEase", "163.com", "pop.163.com:995", "smtp.163.com:465", helpCode},
	{"NetEase", "126.com", "pop.126.com:995", "smtp.126.com:465", helpCode},
	{"Naver", "naver.com", "pop.naver.com:995", "smtp.naver.com:465", helpEnable},
	{"Orange", "orange.fr wanadoo.fr", "pop.orange.fr:995", "smtp.orange.fr:465", ""},
	{"Free", "free.fr", "pop.free.fr:995", "smtp.free.fr:465", ""},
	{"La Poste", "laposte.net", "pop.laposte.net:995", "smtp.laposte.net:465", ""},
	{"Libero", "libero.it inwind.it iol.it blu.it", "popmail.libero.it:995", "smtp.libero.it:465", helpEnable},
	{"Seznam", "seznam.cz email.cz", "pop3.seznam.cz:995", "smtp.seznam.cz:465", helpEnable},
	{"WP", "wp.pl", "pop3.wp.pl:995", "smtp.wp.pl:465", helpEnable},
	{"Xfinity", "comcast.net", "mail.comcast.net:995", "smtp.comcast.net:465", helpEnable},
}

// providerOf is the provider that has a domain; nil if none of the list does.
func providerOf(domain string) *mailProvider {
	for i := range providers {
		for d := range strings.FieldsSeq(providers[i].domains) {
			if d == domain {
				return &providers[i]
			}
		}
	}
	return nil
}

// providerAt is the provider that a POP3 server belongs to, also where the domain is a customer's own.
func providerAt(s api.Server) *mailProvider {
	for i := range providers {
		if host, _, _ := strings.Cut(providers[i].pop, ":"); host == s.Host {
			return &providers[i]
		}
	}
	return nil
}

func (p *mailProvider) group() group {
	return group{origin: api.OriginProvider, provider: p.name, pop3: []api.Server{serverAt(p.pop)}, smtp: []api.Server{serverAt(p.smtp)}}
}

// serverAt reads host:port, with the security that goes with the port.
func serverAt(address string) api.Server {
	host, port, _ := strings.Cut(address, ":")
	switch port {
	case "995":
		return api.Server{Host: host, Port: 995, Security: api.TLS}
	case "465":
		return api.Server{Host: host, Port: 465, Security: api.TLS}
	case "110":
		return api.Server{Host: host, Port: 110, Security: api.STARTTLS}
	}
	return api.Server{Host: host, Port: 587, Security: api.STARTTLS}
}
