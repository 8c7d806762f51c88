package platform

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall/js"

	"github.com/postern-mail/postern/client/internal/promise"
)

// Vault keeps secrets on this device: in IndexedDB, encrypted by AES-GCM under a key that was made here and that the
// browser hands to nobody, this program included (extractable is false). Whoever copies the database's values without
// the key has nothing; whoever runs code in this page's origin can ask for decryption, as with any keychain.
//
// It works in a page and in a worker.
type Vault struct {
	name string

	mu  sync.Mutex // one opening at a time
	db  js.Value
	key js.Value
}

// The database's stores, and the one key in the first.
const (
	vaultVersion = 1
	vaultKeys    = "keys"
	vaultSecrets = "secrets"
	vaultKey     = "aes-gcm-1"
	nonceSize    = 12 // octets; random, as NIST SP 800-38D section 8.2.2 allows for far fewer than 2^32 uses of a key
)

// NewVault is the vault in the database of that name. The database is opened at first use.
func NewVault(name string) *Vault { return &Vault{name: name} }

// Put keeps a secret, in place of an earlier one of that name. It is durable when Put returns nil.
func (v *Vault) Put(ctx context.Context, name string, secret []byte) error {
	key, err := v.open(ctx)
	if err != nil {
		return err
	}
	nonce := js.Global().Get("Uint8Array").New(nonceSize)
	js.Global().Get("crypto").Call("getRandomValues", nonce)
	sealed, err := promise.Await(ctx, subtle().Call("encrypt", v.algorithm(nonce, name), key, octets(secret)))
	if err != nil {
		return fmt.Errorf("vault: seal %s: %w", name, err)
	}
	record := map[string]any{"nonce": nonce, "sealed": sealed}
	return v.change(ctx, func(secrets js.Value) { secrets.Call("put", record, name) })
}

// Get answers nil without an error when there is no such secret.
func (v *Vault) Get(ctx context.Context, name string) ([]byte, error) {
	key, err := v.open(ctx)
	if err != nil {
		return nil, err
	}
	secrets := v.db.Call("transaction", vaultSecrets, "readonly").Call("objectStore", vaultSecrets)
	record, err := promise.Request(ctx, secrets.Call("get", name))
	if err != nil {
		return nil, fmt.Errorf("vault: read %s: %w", name, err)
	}
	if record.IsUndefined() {
		return nil, nil
	}
	plain, err := promise.Await(ctx, subtle().Call("decrypt", v.algorithm(record.Get("nonce"), name), key, record.Get("sealed")))
	if err != nil {
		return nil, fmt.Errorf("vault: unseal %s: %w", name, err)
	}
	view := js.Global().Get("Uint8Array").New(plain)
	secret := make([]byte, view.Length())
	js.CopyBytesToGo(secret, view)
	return secret, nil
}

// Delete forgets a secret; that there is none is no error.
func (v *Vault) Delete(ctx context.Context, name string) error {
	if _, err := v.open(ctx); err != nil {
		return err
	}
	return v.change(ctx, func(secrets js.Value) { secrets.Call("delete", name) })
}

// change runs one durable transaction.
func (v *Vault) change(ctx context.Context, fn func(secrets js.Value)) error {
	tx := v.db.Call("transaction", vaultSecrets, "readwrite", map[string]any{"durability": "strict"})
	if err := promise.Try(func() { fn(tx.Call("objectStore", vaultSecrets)) }); err != nil {
		return fmt.Errorf("vault: write: %w", err)
	}
	if err := completed(ctx, tx); err != nil {
		return fmt.Errorf("vault: write: %w", err)
	}
	return nil
}

// algorithm binds a sealed secret to its name: it opens under no other.
func (v *Vault) algorithm(nonce js.Value, name string) map[string]any {
	return map[string]any{"name": "AES-GCM", "iv": nonce, "additionalData": octets([]byte(v.name + "\x00" + name))}
}

// open opens the database and finds the key, or makes both.
func (v *Vault) open(ctx context.Context) (js.Value, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.key.IsUndefined() {
		return v.key, nil
	}
	if js.Global().Get("indexedDB").IsUndefined() || subtle().IsUndefined() {
		return js.Undefined(), errors.New("vault: this browser gives the page no storage for secrets")
	}
	if v.db.IsUndefined() {
		db, err := v.openDatabase(ctx)
		if err != nil {
			return js.Undefined(), fmt.Errorf("vault: open: %w", err)
		}
		v.db = db
	}
	key, err := v.findKey(ctx)
	if err != nil {
		return js.Undefined(), fmt.Errorf("vault: key: %w", err)
	}
	v.key = key
	return key, nil
}

func (v *Vault) openDatabase(ctx context.Context) (js.Value, error) {
	request := js.Global().Get("indexedDB").Call("open", v.name, vaultVersion)
	upgrade := js.FuncOf(func(js.Value, []js.Value) any {
		db := request.Get("result")
		db.Call("createObjectStore", vaultKeys)
		db.Call("createObjectStore", vaultSecrets)
		return nil
	})
	defer upgrade.Release()
	request.Set("onupgradeneeded", upgrade)
	return promise.Request(ctx, request)
}

func (v *Vault) findKey(ctx context.Context) (js.Value, error) {
	read := func() (js.Value, error) {
		keys := v.db.Call("transaction", vaultKeys, "readonly").Call("objectStore", vaultKeys)
		return promise.Request(ctx, keys.Call("get", vaultKey))
	}
	if key, err := read(); err != nil || !key.IsUndefined() {
		return key, err
	}
	key, err := promise.Await(ctx, subtle().Call("generateKey", map[string]any{"name": "AES-GCM", "length": 256}, false, []any{"encrypt", "decrypt"}))
	if err != nil {
		return js.Undefined(), err
	}
	tx := v.db.Call("transaction", vaultKeys, "readwrite", map[string]any{"durability": "strict"})
	tx.Call("objectStore", vaultKeys).Call("add", key, vaultKey)
	if err := completed(ctx, tx); err != nil && !errors.Is(err, promise.Named("ConstraintError")) {
		return js.Undefined(), err
	}
	return read() // another context may have been first: its key is the one
}

// completed waits for the end of a transaction.
func completed(ctx context.Context, tx js.Value) error {
	p := js.Global().Get("Promise")
	executor := js.FuncOf(func(_ js.Value, a []js.Value) any {
		tx.Set("oncomplete", a[0])
		tx.Set("onabort", a[1])
		return nil
	})
	defer executor.Release()
	_, err := promise.Await(ctx, p.New(executor))
	if err != nil && ctx.Err() == nil {
		return promise.Reason(tx.Get("error"))
	}
	return err
}

func subtle() js.Value {
	c := js.Global().Get("crypto")
	if c.IsUndefined() {
		return c
	}
	return c.Get("subtle")
}

func octets(b []byte) js.Value {
	u := js.Global().Get("Uint8Array").New(len(b))
	js.CopyBytesToJS(u, b)
	return u
}
