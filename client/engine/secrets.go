package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/postern-mail/postern/client/api"
)

// secrets keeps passwords in a Vault: as they are, under the key that the vault has; or sealed once more, under a
// passphrase.
//
// The vault changes one secret at a time, and a cut can come between any two changes. A sealed secret has a name of its
// own, so that none is ever overwritten by its other form: the new form is there before the old one goes. While there is
// a lock the sealed form counts, and the plain one where there is no other; without a lock the plain one. Keys that seal
// are new with each passphrase; until every secret is under the new one, the lock holds both.
type secrets struct {
	vault Vault
	cost  cost

	changing sync.Mutex // held by whoever writes: taken before mu

	mu   sync.Mutex
	read bool // from the vault
	lock *passphraseLock
	keys []sealingKey // of the lock, the one that seals first; nil while it is locked
}

const (
	lockName     = "passphrase" // of the lock in the vault
	sealedPrefix = "sealed/"    // before the name of a secret in its sealed form
)

var (
	errLocked  = errors.New("the passwords are under a passphrase")
	errNoVault = errors.New("this device keeps no secrets")
)

// state is how passwords are kept, as far as it is known.
func (s *secrets) state() api.VaultState {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.lock == nil:
		return api.VaultOpen
	case s.keys == nil:
		return api.VaultLocked
	}
	return api.VaultSealed
}

// load finds out whether there is a passphrase.
func (s *secrets) load(ctx context.Context) error {
	if s.vault == nil {
		return errNoVault
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.loaded(ctx)
}

// loaded is load for those who hold changing.
func (s *secrets) loaded(ctx context.Context) error {
	if s.vault == nil {
		return errNoVault
	}
	s.mu.Lock()
	read := s.read
	s.mu.Unlock()
	if read {
		return nil
	}
	b, err := s.vault.Get(ctx, lockName)
	if err != nil {
		return err
	}
	var l *passphraseLock
	if b != nil {
		if l, err = decodeLock(b); err != nil {
			return err
		}
	}
	s.set(l, nil)
	return nil
}

func (s *secrets) set(l *passphraseLock, keys []sealingKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read, s.lock, s.keys = true, l, keys
}

func (s *secrets) now() (*passphraseLock, []sealingKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lock, s.keys
}

// get answers nil without an error when there is no such secret, and errLocked while it is locked.
func (s *secrets) get(ctx context.Context, name string) ([]byte, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.loaded(ctx); err != nil {
		return nil, err
	}
	lock, keys := s.now()
	if lock != nil && keys == nil {
		return nil, errLocked
	}
	secret, _, err := s.find(ctx, name, keys)
	return secret, err
}

// find looks for a secret in both forms. whole says that it is as put would leave it.
func (s *secrets) find(ctx context.Context, name string, keys []sealingKey) (secret []byte, whole bool, err error) {
	if len(keys) == 0 {
		secret, err = s.vault.Get(ctx, name)
		return secret, true, err
	}
	sealed, err := s.vault.Get(ctx, sealedPrefix+name)
	if err != nil {
		return nil, false, err
	}
	plain, err := s.vault.Get(ctx, name)
	if err != nil || sealed == nil {
		return plain, plain == nil, err
	}
	secret, err = unsealSecret(keys, sealed, name)
	return secret, plain == nil && keyOf(sealed) == keys[0].id, err
}

// put keeps a secret as things are now: errLocked while they are locked.
func (s *secrets) put(ctx context.Context, name string, secret []byte) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.loaded(ctx); err != nil {
		return err
	}
	lock, keys := s.now()
	switch {
	case lock == nil:
		return s.vault.Put(ctx, name, secret)
	case keys == nil:
		return errLocked
	}
	return s.putSealed(ctx, name, secret, keys[0])
}

func (s *secrets) putSealed(ctx context.Context, name string, secret []byte, k sealingKey) error {
	sealed, err := sealSecret(k, secret, name)
	if err != nil {
		return err
	}
	if err := s.vault.Put(ctx, sealedPrefix+name, sealed); err != nil {
		return err
	}
	return s.vault.Delete(ctx, name)
}

// delete forgets a secret in both its forms.
func (s *secrets) delete(ctx context.Context, name string) error {
	if s.vault == nil {
		return nil
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	return errors.Join(s.vault.Delete(ctx, name), s.vault.Delete(ctx, sealedPrefix+name))
}

// unlock opens the lock, if there is one, and finishes for the secrets of these names what a cut has left.
func (s *secrets) unlock(ctx context.Context, passphrase string, names []string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.loaded(ctx); err != nil {
		return err
	}
	lock, _ := s.now()
	if lock == nil {
		return nil
	}
	keys, err := lock.open(passphrase)
	if err != nil {
		return err
	}
	s.set(lock, keys)
	return s.settle(ctx, names)
}

// settle seals what is not sealed with the first key, and lets the other keys go.
func (s *secrets) settle(ctx context.Context, names []string) error {
	lock, keys := s.now()
	for _, name := range names {
		secret, whole, err := s.find(ctx, name, keys)
		if errors.Is(err, errDamagedSecret) {
			continue // nobody can open it any more: the password is asked for
		}
		if err == nil && !whole {
			err = s.putSealed(ctx, name, secret, keys[0])
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errUnsettled, err)
		}
	}
	if len(lock.Keys) == 1 {
		return nil
	}
	short := *lock
	short.Keys = lock.Keys[:1:1]
	if err := s.putLock(ctx, &short); err != nil {
		return fmt.Errorf("%w: %w", errUnsettled, err)
	}
	s.set(&short, keys[:1:1])
	return nil
}

// errUnsettled says that a passphrase holds, but that not every secret is under it alone yet.
var errUnsettled = errors.New("not every password is under the passphrase yet; the next time it is given goes on with it")

func (s *secrets) putLock(ctx context.Context, l *passphraseLock) error {
	b, err := l.encode()
	if err != nil {
		return err
	}
	return s.vault.Put(ctx, lockName, b)
}

// change puts the secrets of these names under another passphrase, or under none. The old one has to be right, unless
// there is nothing under it.
func (s *secrets) change(ctx context.Context, old, passphrase string, names []string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.loaded(ctx); err != nil {
		return err
	}
	lock, _ := s.now()
	var keys []sealingKey
	if lock != nil {
		var err error
		if keys, err = lock.open(old); err != nil {
			if len(names) > 0 {
				return err
			}
			keys = nil
		}
	}
	if passphrase == "" {
		return s.unseal(ctx, lock, keys, names)
	}
	keys = append([]sealingKey{newSealingKey()}, keys...)
	next, err := newLock(passphrase, s.cost, keys)
	if err != nil {
		return err
	}
	if err := s.putLock(ctx, next); err != nil {
		return err
	}
	s.set(next, keys) // from here on the new passphrase holds
	return s.settle(ctx, names)
}

// unseal puts every secret into its plain form, then lets the lock go.
func (s *secrets) unseal(ctx context.Context, lock *passphraseLock, keys []sealingKey, names []string) error {
	if lock == nil {
		return nil
	}
	for _, name := range names {
		secret, _, err := s.find(ctx, name, keys)
		if errors.Is(err, errDamagedSecret) {
			continue
		}
		if err == nil && secret != nil {
			err = s.vault.Put(ctx, name, slices.Clone(secret))
		}
		if err == nil {
			err = s.vault.Delete(ctx, sealedPrefix+name)
		}
		if err != nil {
			return err
		}
	}
	if err := s.vault.Delete(ctx, lockName); err != nil {
		return err
	}
	s.set(nil, nil)
	return nil
}
