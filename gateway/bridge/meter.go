package bridge

import (
	"net/netip"
	"sync"
	"time"

	"github.com/postern-mail/postern/shared/endsite"
	"github.com/postern-mail/postern/shared/wire"
)

// meter bounds what each of many may do in a minute, and knows no more than most of them at a time. It is a bucket for
// each, which holds a minute's worth. Who has not come for a minute is forgotten, at no loss: that bucket is full again.
type meter[K comparable] struct {
	perMinute int // below zero: no limit
	most      int

	mu    sync.Mutex
	of    map[K]*bucket
	rest  bucket // of all who came while the place was full
	swept time.Time
}

func newMeter[K comparable](perMinute, most int) *meter[K] {
	return &meter[K]{perMinute: perMinute, most: most, of: make(map[K]*bucket)}
}

// take says whether k may once more.
func (m *meter[K]) take(k K, now time.Time) bool {
	if m.perMinute < 0 {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.of[k]
	if b == nil {
		if len(m.of) >= m.most {
			m.sweep(now)
		}
		if b = new(bucket); len(m.of) < m.most {
			m.of[k] = b
		} else {
			b = &m.rest
		}
	}
	return b.take(1, m.rate(), float64(m.perMinute), now)
}

// spent says that k is known, and may not.
func (m *meter[K]) spent(k K, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.of[k]
	if b == nil {
		return false
	}
	b.fill(m.rate(), float64(m.perMinute), now)
	return b.level < 1
}

func (m *meter[K]) rate() float64 { return float64(m.perMinute) / 60 }

// sweep forgets whose buckets are full. It looks at all of them, so once a second has to do.
func (m *meter[K]) sweep(now time.Time) {
	if now.Sub(m.swept) < time.Second {
		return
	}
	m.swept = now
	for k, b := range m.of {
		if now.Sub(b.at) >= time.Minute {
			delete(m.of, k)
		}
	}
}

// clientMeter is a meter of clients, in which a site has endsite.ClientsOfSite times as much as one of them.
type clientMeter struct{ own, sites *meter[netip.Prefix] }

func newClientMeter(perMinute, most int) clientMeter {
	return clientMeter{newMeter[netip.Prefix](perMinute, most), newMeter[netip.Prefix](endsite.ClientsOfSite*perMinute, most)}
}

// take says whether a client may once more. Its site is asked before the client is remembered: of the places that there are for
// all, nobody who has a site to himself gets more by coming from each /64 of it than the site may come. A client that has had its
// own takes nothing from its neighbours.
func (m clientMeter) take(client netip.Prefix, now time.Time) bool {
	site := endsite.Site(client)
	if site == client {
		return m.own.take(client, now)
	}
	return !m.own.spent(client, now) && m.sites.take(site, now) && m.own.take(client, now)
}

// spent says that a client may not.
func (m clientMeter) spent(client netip.Prefix, now time.Time) bool {
	return m.own.spent(client, now) || m.sites.spent(endsite.Site(client), now)
}

// rates are how many streams there may be in a minute.
type rates struct {
	clients clientMeter
	users   *meter[string]
	targets *meter[netip.Addr]
}

// newRates allows so many times what the limits say.
func newRates(l Limits, times int) rates {
	return rates{
		newClientMeter(times*l.NewStreamsPerMinute, l.Remembered), newMeter[string](times*l.NewStreamsPerMinute, l.Remembered),
		newMeter[netip.Addr](times*l.NewStreamsPerTarget, l.Remembered),
	}
}

// bucket lets through what has flowed into it, at a rate, up to what it holds. The zero bucket is full.
type bucket struct {
	level float64
	at    time.Time // of level; zero: full
}

func (b *bucket) fill(perSecond, holds float64, now time.Time) {
	switch {
	case b.at.IsZero():
		b.level = holds
	case now.After(b.at):
		b.level = min(holds, b.level+perSecond*now.Sub(b.at).Seconds())
	default:
		return
	}
	b.at = now
}

// take takes n out if there are so many.
func (b *bucket) take(n, perSecond, holds float64, now time.Time) bool {
	b.fill(perSecond, holds, now)
	if b.level < n {
		return false
	}
	b.level -= n
	return true
}

// owe takes n out even if there are fewer, and answers how long to wait for the rest.
func (b *bucket) owe(n, perSecond, holds float64, now time.Time) time.Duration {
	b.fill(perSecond, holds, now)
	if b.level -= n; b.level >= 0 {
		return 0
	}
	return time.Duration(-b.level / perSecond * float64(time.Second))
}

// pace holds the bytes of one client, or one user, to a rate. What is above it waits, in the order in which it came.
type pace struct {
	mu sync.Mutex
	b  bucket
}

// owe notes n bytes, and answers how long they have to wait at so many in a second. A tenth of a second's worth need not.
func (p *pace) owe(n, perSecond int, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.owe(float64(n), float64(perSecond), max(float64(perSecond)/10, wire.MaxMessage), now)
}
