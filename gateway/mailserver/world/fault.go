package world

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/smtpd"
	"github.com/postern-mail/postern/shared/control"
)

const (
	// greyWait is how long a greylist lets strangers wait, as this server's own does.
	greyWait = 5 * time.Minute
	// mostMet bounds what a greylist remembers. Beyond it all are strangers again.
	mostMet = 10_000
)

// faults are those that last, by domain.
type faults struct {
	clock *Clock

	mu  sync.Mutex
	all map[string]*fault
}

// fault is one that lasts.
type fault struct {
	kind  control.FaultKind
	until time.Time            // zero: until it is switched off
	met   map[string]time.Time // of a greylist: when who came for the first time
}

// set begins a fault, or ends it. The domain is known to be one of the world's, or all.
func (f *faults) set(to control.Fault) error {
	switch {
	case to.Kind != control.FaultNone && !slices.Contains(control.FaultKinds, to.Kind):
		return &control.Error{Kind: control.Invalid, Text: fmt.Sprintf("%.40q is no fault; there are %v, and %s", to.Kind, control.FaultKinds, control.FaultNone)}
	case to.For < 0:
		return &control.Error{Kind: control.Invalid, Text: "a fault lasts for a time that is not below zero"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case to.Kind != control.FaultNone:
		n := &fault{kind: to.Kind, met: map[string]time.Time{}}
		if to.For > 0 {
			n.until = f.clock.Now().Add(to.For)
		}
		f.all[to.Domain] = n
	case to.Domain == control.AllDomains:
		clear(f.all)
	default:
		delete(f.all, to.Domain)
	}
	return nil
}

// on is the fault on the way to a domain; nil if there is none.
func (f *faults) on(domain string) *fault {
	now := f.clock.Now()
	for _, d := range []string{domain, control.AllDomains} {
		switch n := f.all[d]; {
		case n == nil:
		case !n.until.IsZero() && !now.Before(n.until):
			delete(f.all, d)
		default:
			return n
		}
	}
	return nil
}

// kind is the fault on the way to a domain.
func (f *faults) kind(domain string) control.FaultKind {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.on(domain); n != nil {
		return n.kind
	}
	return control.FaultNone
}

// list are those that last, and how much longer.
func (f *faults) list() (list []control.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.clock.Now()
	for d, n := range f.all {
		left := control.Fault{Domain: d, Kind: n.kind}
		if !n.until.IsZero() {
			if left.For = n.until.Sub(now); left.For <= 0 {
				continue
			}
		}
		list = append(list, left)
	}
	slices.SortFunc(list, func(a, b control.Fault) int { return cmp.Compare(a.Domain, b.Domain) })
	return list
}

// answer is what a receiving server does wrong with a recipient.
func (f *faults) answer(client netip.Addr, from, to string) smtpd.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.on(domainOf(to))
	if n == nil {
		return smtpd.Fault{}
	}
	switch n.kind {
	case control.FaultGreylist:
		if left := n.wait(client.String()+" "+from+" "+strings.ToLower(to), f.clock.Now()); left > 0 {
			return smtpd.Fault{Code: 451, Enhanced: [3]int{4, 7, 1}, Text: fmt.Sprintf("we have not met before; your server is welcome in %d minutes", (left+time.Minute-1)/time.Minute)}
		}
	case control.FaultTemporary:
		return smtpd.Fault{Code: 451, Enhanced: [3]int{4, 3, 2}, Text: "this server takes no mail at the moment (a fault that was switched on)"}
	case control.FaultPermanent:
		return smtpd.Fault{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "this server does not want that message (a fault that was switched on)"}
	case control.FaultDropData:
		return smtpd.Fault{Cut: smtpd.CutBefore}
	case control.FaultDropDot:
		return smtpd.Fault{Cut: smtpd.CutAfter}
	}
	return smtpd.Fault{}
}

// wait is how long somebody has to wait yet.
func (n *fault) wait(who string, now time.Time) time.Duration {
	first, known := n.met[who]
	if !known {
		if len(n.met) >= mostMet {
			clear(n.met)
		}
		first, n.met[who] = now, now
	}
	return first.Add(greyWait).Sub(now)
}

func domainOf(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}
