package engine

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
)

// siteRecord is what the registry keeps of a site. There is no password in it.
type siteRecord struct {
	Version int           `json:"version"`
	ID      api.AccountID `json:"id"`
	Label   string        `json:"label,omitempty"`
	Server  api.Server    `json:"server"`
	Kept    bool          `json:"kept,omitempty"` // the password is in the vault
	Home    api.FilePath  `json:"home,omitempty"`
	Added   time.Time     `json:"added"`
}

const (
	siteVersion = 1       // of the records that are written; one with a higher version is not opened
	sitesKey    = "sites" // the registry's Meta key of the list
	siteMark    = "ftp:"  // begins a site's ID
	sitePrefix  = "site-" // and the name of its folder
)

func isSite(id api.AccountID) bool { return strings.HasPrefix(string(id), siteMark) }

func newSiteID() api.AccountID {
	var b [10]byte
	rand.Read(b[:]) // it never fails
	return api.AccountID(siteMark + hex.EncodeToString(b[:]))
}

func siteFolder(id api.AccountID) string {
	return sitePrefix + strings.TrimPrefix(string(id), siteMark)
}

// own says that it is the gateway's own server.
func (r *siteRecord) own() bool { return r.Server.Host == "" }

// sameLogin says whether a password is for the one as well as for the other.
func sameLogin(a, b api.Server) bool { return a.Host == b.Host && a.User == b.User }

func (r *registry) siteRecords() ([]siteRecord, error) {
	value, ok := r.box.Meta(sitesKey)
	if !ok {
		return nil, nil
	}
	var list []siteRecord
	if err := json.Unmarshal(value, &list); err != nil {
		return nil, fmt.Errorf("the list of sites cannot be read: %w", err)
	}
	for _, rec := range list {
		if rec.Version > siteVersion {
			return nil, fmt.Errorf("the list of sites is of version %d, made by a newer program", rec.Version)
		}
	}
	return list, nil
}

// putSite adds rec, or replaces the one with its ID, durably.
func (r *registry) putSite(rec siteRecord) error {
	rec.Version = siteVersion
	return r.changeSites(func(list []siteRecord) []siteRecord {
		if i := slices.IndexFunc(list, func(o siteRecord) bool { return o.ID == rec.ID }); i >= 0 {
			list[i] = rec
			return list
		}
		return append(list, rec)
	})
}

// updateSite changes what is kept of a site that is there, durably. Others may have changed other things of it meanwhile, or removed it.
func (r *registry) updateSite(id api.AccountID, change func(rec *siteRecord)) error {
	return r.changeSites(func(list []siteRecord) []siteRecord {
		if i := slices.IndexFunc(list, func(o siteRecord) bool { return o.ID == id }); i >= 0 {
			change(&list[i])
		}
		return list
	})
}

func (r *registry) removeSite(id api.AccountID) error {
	return r.changeSites(func(list []siteRecord) []siteRecord {
		return slices.DeleteFunc(list, func(o siteRecord) bool { return o.ID == id })
	})
}

func (r *registry) changeSites(change func([]siteRecord) []siteRecord) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	list, err := r.siteRecords()
	if err != nil {
		return err
	}
	value, err := json.Marshal(change(list))
	if err != nil {
		return err
	}
	return storing(r.box.Update(func(tx *store.Tx) error { return tx.SetMeta(sitesKey, value) }))
}

// removeSiteOrphans removes the folders that no site names: what a cut left of a removal.
func removeSiteOrphans(fs store.FS, list []siteRecord) error {
	names, err := fs.List()
	if err != nil {
		return err
	}
	for _, name := range names {
		named := slices.ContainsFunc(list, func(rec siteRecord) bool { return siteFolder(rec.ID) == name })
		if strings.HasPrefix(name, sitePrefix) && !named {
			err = errors.Join(err, fs.RemoveAll(name))
		}
	}
	return err
}
