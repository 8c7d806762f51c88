package view

import (
	"context"
	"slices"
	"strings"

	"github.com/postern-mail/postern/client/api"
)

// Site is a site, the zero Site when there is none such.
func (a *App) Site(id api.AccountID) api.Site {
	for i := range a.Sites {
		if a.Sites[i].ID == id {
			return a.Sites[i]
		}
	}
	return api.Site{}
}

// AtFiles says that the place is one of file servers, not of mail.
func (a *App) AtFiles() bool { return a.Route.Site != "" || a.Route.Page == PageSite }

// SiteLabel is what a site is called here.
func SiteLabel(s api.Site) string {
	switch {
	case s.Label != "":
		return s.Label
	case s.Server.Host == "":
		return "Files on " + domainOf(s.Server.User)
	case s.Server.User == "" || s.Server.User == "anonymous":
		return s.Server.Host
	}
	if name, _, address := strings.Cut(s.Server.User, "@"); address {
		return s.Server.Host + " (" + name + ")"
	}
	return s.Server.User + "@" + s.Server.Host
}

// SiteShort is what a site is called below a heading that says that it is one of files.
func SiteShort(s api.Site) string {
	if s.Label == "" && s.Server.Host == "" {
		return domainOf(s.Server.User)
	}
	return SiteLabel(s)
}

// SiteSeal is a site's badge: who can read what goes between this device and its server.
func SiteSeal(s api.Site) Seal {
	if s.Sealed {
		return Seal{"Sealed", "Encrypted from this browser to the file server: TLS ends in this browser, and the gateway sees only ciphertext.", "lock", false}
	}
	return Seal{"Readable on the way", "Not encrypted: " + filesReadAlong, "unlocked", true}
}

const filesReadAlong = "Everybody on the way can read the password and every file: whoever runs the network you are in, and this page's gateway."

// Offered are the mail accounts whose own server has files that are no site yet: one click makes them one.
func (a *App) Offered() (list []api.Account) {
	for _, acc := range a.Accounts {
		mine := func(s api.Site) bool { return s.Server.Host == "" && strings.EqualFold(s.Server.User, acc.Email) }
		if acc.Files && acc.HasPassword && !slices.ContainsFunc(a.Sites, mine) {
			list = append(list, acc)
		}
	}
	return list
}

// OfferLabel is what the files of an account's own server would be called.
func OfferLabel(acc api.Account) string { return "Files on " + domainOf(acc.Email) }

// TakeOffer makes the files beside a mail account a site, with its name and password, and shows them.
func (a *App) TakeOffer(acc api.AccountID) {
	a.takeOffer(acc, func(s api.Site) { a.OpenFiles(s.ID, "") })
}

func (a *App) takeOffer(acc api.AccountID, then func(api.Site)) {
	if a.offering {
		return
	}
	a.offering = true
	var s api.Site
	a.ask(func(ctx context.Context, svc api.Service) (err error) {
		s, err = svc.AddSite(ctx, api.AddSite{Account: acc})
		return err
	}, func(p *api.Problem) {
		a.offering = false
		if p != nil {
			a.Toasts.FileTrouble("The files could not be opened", p)
			return
		}
		a.siteChanged(s)
		then(s)
	})
}

// LookAt opens the sheet about the certificate for which a site is not reached.
func (a *App) LookAt(site api.AccountID, c *api.Certificate) {
	a.Trust.ask(c, func(fingerprint string) {
		a.ask(func(ctx context.Context, svc api.Service) error {
			return svc.Trust(ctx, api.Trust{Account: site, Protocol: api.FTP, Fingerprint: fingerprint})
		}, func(p *api.Problem) {
			if p != nil {
				a.Toasts.FileTrouble("The certificate could not be trusted", p)
				return
			}
			a.Files.Reload()
		})
	})
}

// OpenSiteFault shows what was said to a file server where something went wrong.
func (a *App) OpenSiteFault(site api.AccountID, p *api.Problem) {
	a.Go(Route{Page: PageWire, Site: site, Session: p.Session, Line: p.Line})
}

func (a *App) siteChanged(s api.Site) {
	i := slices.IndexFunc(a.Sites, func(x api.Site) bool { return x.ID == s.ID })
	if i < 0 {
		a.Sites = append(a.Sites, s)
		return
	}
	mended := a.Sites[i].Problem != nil && s.Problem == nil
	a.Sites[i] = s
	if mended && a.Files.Site == s.ID && a.Files.Problem != nil {
		a.Files.Refresh()
	}
}

func (a *App) siteGone(id api.AccountID) {
	a.Sites = slices.DeleteFunc(a.Sites, func(x api.Site) bool { return x.ID == id })
	a.Transfers.siteGone(id)
	if a.Picker.Site == id {
		a.Picker.Cancel()
	}
	if a.Files.Site == id {
		a.Files.close()
		a.Files.Site = ""
	}
	if a.Route.Site == id {
		a.swap(a.List.place)
	}
}

// RemoveSite forgets a site, after a question.
func (a *App) RemoveSite(id api.AccountID, back string) {
	label := SiteLabel(a.Site(id))
	a.Question.ask("Remove "+label+"?", "Its password and its transfers are forgotten on this device, with what is here of them. The files on the server stay there.", "Remove", back, func() {
		a.ask(func(ctx context.Context, svc api.Service) error { return svc.RemoveSite(ctx, id) }, func(p *api.Problem) {
			if p != nil {
				a.Toasts.FileTrouble(label+" could not be removed", p)
				return
			}
			a.siteGone(id)
			a.Toasts.Say(label + " was removed")
		})
	})
}
