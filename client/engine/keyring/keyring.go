package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/postern-mail/postern/client/api"
)

// Vault keeps secrets on this device, encrypted, under names.
type Vault interface {
	Put(ctx context.Context, name string, secret []byte) error
	// Get answers nil without an error when there is no such secret.
	Get(ctx context.Context, name string) ([]byte, error)
	Delete(ctx context.Context, name string) error
}

// Ring keeps secrets in a Vault: as they are, under the key that the vault has; or sealed once more, under a
// passphrase. Any number of goroutines may use it.
//
// The vault changes one secret at a time, and a cut can come between any two changes. A sealed secret has a name of its
// own, so that none is ever overwritten by its other form: the new form is there before the old one goes. While there is
// a lock the sealed form counts, and the plain one where there is no other; without a lock the plain one. Keys that seal
// are new with each passphrase; until every secret is under the new one, the lock holds both.
type Ring struct {
	vault Vault
	cost  Cost

	changing sync.Mutex // held by whoever writes: taken before mu

	mu   sync.Mutex
	read bool // from the vault
	lock *passphraseLock
	keys []sealingKey // of the lock, the one that seals first; nil while it is locked
}

// New makes a Ring over a vault, which may be nil: then nothing can be kept. A new passphrase takes the cost c; zero is
// DefaultCost.
func New(v Vault, c Cost) *Ring {
	if c == (Cost{}) {
		c = DefaultCost()
	}
	return &Ring{vault: v, cost: c}
}

const (
	lockName     = "passphrase" // of the lock in the vault
	sealedPrefix = "sealed/"    // before the name of a secret in its sealed form
)

// What comes of a call, beside what the vault says itself.
var (
	ErrLocked          = errors.New("the passwords are under a passphrase") // and it has not been given
	ErrNoVault         = errors.New("this device keeps no secrets")
	ErrWrongPassphrase = errors.New("that is not the passphrase")
	// ErrUnsettled says that a passphrase holds, but that not every secret is under it alone yet.
	ErrUnsettled = errors.New("not every password is under the passphrase yet; the next time it is given goes on with it")
)

// State is how passwords are kept, as far as it is known.
func (r *Ring) State() api.VaultState {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.lock == nil:
		return api.VaultOpen
	case r.keys == nil:
		return api.VaultLocked
	}
	return api.VaultSealed
}

// Load finds out whether there is a passphrase.
func (r *Ring) Load(ctx context.Context) error {
	if r.vault == nil {
		return ErrNoVault
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	return r.loaded(ctx)
}

// loaded is Load for those who hold changing.
func (r *Ring) loaded(ctx context.Context) error {
	if r.vault == nil {
		return ErrNoVault
	}
	r.mu.Lock()
	read := r.read
	r.mu.Unlock()
	if read {
		return nil
	}
	b, err := r.vault.Get(ctx, lockName)
	if err != nil {
		return err
	}
	var l *passphraseLock
	if b != nil {
		if l, err = decodeLock(b); err != nil {
			return err
		}
	}
	r.set(l, nil)
	return nil
}

func (r *Ring) set(l *passphraseLock, keys []sealingKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read, r.lock, r.keys = true, l, keys
}

func (r *Ring) now() (*passphraseLock, []sealingKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lock, r.keys
}

// Get answers nil without an error when there is no such secret, and ErrLocked while it is locked.
func (r *Ring) Get(ctx context.Context, name string) ([]byte, error) {
	r.changing.Lock()
	defer r.changing.Unlock()
	if err := r.loaded(ctx); err != nil {
		return nil, err
	}
	lock, keys := r.now()
	if lock != nil && keys == nil {
		return nil, ErrLocked
	}
	secret, _, err := r.find(ctx, name, keys)
	return secret, err
}

// find looks for a secret in both forms. whole says that it is as Put would leave it.
func (r *Ring) find(ctx context.Context, name string, keys []sealingKey) (secret []byte, whole bool, err error) {
	if len(keys) == 0 {
		secret, err = r.vault.Get(ctx, name)
		return secret, true, err
	}
	sealed, err := r.vault.Get(ctx, sealedPrefix+name)
	if err != nil {
		return nil, false, err
	}
	plain, err := r.vault.Get(ctx, name)
	if err != nil || sealed == nil {
		return plain, plain == nil, err
	}
	secret, err = unsealSecret(keys, sealed, name)
	return secret, plain == nil && keyOf(sealed) == keys[0].id, err
}

// Put keeps a secret as things are now: ErrLocked while they are locked.
func (r *Ring) Put(ctx context.Context, name string, secret []byte) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	if err := r.loaded(ctx); err != nil {
		return err
	}
	lock, keys := r.now()
	switch {
	case lock == nil:
		return r.vault.Put(ctx, name, secret)
	case keys == nil:
		return ErrLocked
	}
	return r.putSealed(ctx, name, secret, keys[0])
}

func (r *Ring) putSealed(ctx context.Context, name string, secret []byte, k sealingKey) error {
	sealed, err := sealSecret(k, secret, name)
	if err != nil {
		return err
	}
	if err := r.vault.Put(ctx, sealedPrefix+name, sealed); err != nil {
		return err
	}
	return r.vault.Delete(ctx, name)
}

// Delete forgets a secret in both its forms.
func (r *Ring) Delete(ctx context.Context, name string) error {
	if r.vault == nil {
		return nil
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	return errors.Join(r.vault.Delete(ctx, name), r.vault.Delete(ctx, sealedPrefix+name))
}

// Unlock opens the lock, if there is one, and finishes for the secrets of these names what a cut has left.
func (r *Ring) Unlock(ctx context.Context, passphrase string, names []string) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	if err := r.loaded(ctx); err != nil {
		return err
	}
	lock, _ := r.now()
	if lock == nil {
		return nil
	}
	keys, err := lock.open(passphrase)
	if err != nil {
		return err
	}
	r.set(lock, keys)
	return r.settle(ctx, names)
}

// settle seals what is not sealed with the first key, and lets the other keys go.
func (r *Ring) settle(ctx context.Context, names []string) error {
	lock, keys := r.now()
	for _, name := range names {
		secret, whole, err := r.find(ctx, name, keys)
		if errors.Is(err, errDamaged) {
			continue // nobody can open it any more: the password is asked for
		}
		if err == nil && !whole {
			err = r.putSealed(ctx, name, secret, keys[0])
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnsettled, err)
		}
	}
	if len(lock.Keys) == 1 {
		return nil
	}
	short := *lock
	short.Keys = lock.Keys[:1:1]
	if err := r.putLock(ctx, &short); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsettled, err)
	}
	r.set(&short, keys[:1:1])
	return nil
}

func (r *Ring) putLock(ctx context.Context, l *passphraseLock) error {
	b, err := l.encode()
	if err != nil {
		return err
	}
	return r.vault.Put(ctx, lockName, b)
}

// Change puts the secrets of these names under another passphrase, or under none. The old one has to be right, unless
// there is nothing under it.
func (r *Ring) Change(ctx context.Context, old, passphrase string, names []string) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	if err := r.loaded(ctx); err != nil {
		return err
	}
	lock, _ := r.now()
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
		return r.unseal(ctx, lock, keys, names)
	}
	keys = append([]sealingKey{newSealingKey()}, keys...)
	next, err := newLock(passphrase, r.cost, keys)
	if err != nil {
		return err
	}
	if err := r.putLock(ctx, next); err != nil {
		return err
	}
	r.set(next, keys) // from here on the new passphrase holds
	return r.settle(ctx, names)
}

// unseal puts every secret into its plain form, then lets the lock go.
func (r *Ring) unseal(ctx context.Context, lock *passphraseLock, keys []sealingKey, names []string) error {
	if lock == nil {
		return nil
	}
	for _, name := range names {
		secret, _, err := r.find(ctx, name, keys)
		if errors.Is(err, errDamaged) {
			continue
		}
		if err == nil && secret != nil {
			err = r.vault.Put(ctx, name, slices.Clone(secret))
		}
		if err == nil {
			err = r.vault.Delete(ctx, sealedPrefix+name)
		}
		if err != nil {
			return err
		}
	}
	if err := r.vault.Delete(ctx, lockName); err != nil {
		return err
	}
	r.set(nil, nil)
	return nil
}
