package view

import (
	"slices"
	"strings"

	"github.com/postern-mail/postern/client/api"
)

// AllInboxes is what the inboxes of all accounts together are called.
const AllInboxes = "All inboxes"

// AccountOf is an account, the zero Account when there is none such.
func (a *App) AccountOf(id api.AccountID) api.Account {
	for i := range a.Accounts {
		if a.Accounts[i].ID == id {
			return a.Accounts[i]
		}
	}
	return api.Account{}
}

// Label is what an account is called here.
func Label(acc api.Account) string {
	if acc.Label != "" {
		return acc.Label
	}
	return acc.Email
}

// Several says that there is more than one account, so that each has to be named.
func (a *App) Several() bool { return len(a.Accounts) > 1 }

// folder is the folder that a place shows, the zero Folder when its account has none such. All inboxes together have the
// sums of their counts; so the sum of their revisions grows whenever one of them does.
func (a *App) folder(p Route) (sum api.Folder) {
	for _, acc := range a.Accounts {
		if !p.All && acc.ID != p.Account {
			continue
		}
		for _, f := range acc.Folders {
			if f.ID == p.Folder {
				sum.ID = f.ID
				sum.Total += f.Total
				sum.Unread += f.Unread
				sum.Revision += f.Revision
			}
		}
	}
	return sum
}

// AllUnread is how many unread messages are in all inboxes together.
func (a *App) AllUnread() int { return a.folder(Route{Folder: api.Inbox, All: true}).Unread }

// identities are who an account's messages may be from, the one for new messages first.
func identities(acc api.Account) []api.Identity {
	if len(acc.Identities) > 0 {
		return acc.Identities
	}
	return []api.Identity{{Name: acc.Name, Addr: acc.Email}}
}

// owns says whether an address is one of the account's own.
func (a *App) owns(id api.AccountID, addr string) bool {
	acc := a.AccountOf(id)
	return strings.EqualFold(acc.Email, addr) || slices.ContainsFunc(acc.Identities, func(x api.Identity) bool { return strings.EqualFold(x.Addr, addr) })
}

// Mine says whether an address is the reader's own, in the account of the message read.
func (r *Reader) Mine(addr string) bool { return addr != "" && r.app.owns(r.Account, addr) }

// InAll says that the place is the inboxes of all accounts together.
func (a *App) InAll() bool { return a.List.place.All }

// The trees of accounts whose folders are put away are kept on this device under this name.
const foldedKey = "folded"

// Folded says whether an account's folders are put away in the side bar.
func (s *Settings) Folded(id api.AccountID) bool { return s.folded[id] }

// Fold puts an account's folders away, or shows them again.
func (s *Settings) Fold(id api.AccountID) {
	if s.folded[id] {
		delete(s.folded, id)
	} else {
		if s.folded == nil {
			s.folded = map[api.AccountID]bool{}
		}
		s.folded[id] = true
	}
	var list []string
	for x := range s.folded {
		list = append(list, escape(string(x)))
	}
	inOrder(len(list), func(i, j int) bool { return list[i] < list[j] }, func(i, j int) { list[i], list[j] = list[j], list[i] })
	s.app.platform.SetPreference(foldedKey, strings.Join(list, ","))
}

func (s *Settings) loadFolded() {
	for x := range strings.SplitSeq(s.app.platform.Preference(foldedKey), ",") {
		if x != "" {
			if s.folded == nil {
				s.folded = map[api.AccountID]bool{}
			}
			s.folded[api.AccountID(unescape(x))] = true
		}
	}
}
