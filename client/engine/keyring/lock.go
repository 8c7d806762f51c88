package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// passphraseLock is what is kept of a passphrase: how a key is made of it (Argon2id, RFC 9106), and under that key those
// that secrets are sealed with (AES-256-GCM, NIST SP 800-38D). To open them is also how a passphrase is checked.
type passphraseLock struct {
	Version int         `json:"version"`
	Cost    Cost        `json:"argon2id"`
	Salt    []byte      `json:"salt"`
	Keys    []sealedKey `json:"keys"` // the first seals; the others, if a change of passphrase was cut, only open
}

// Cost is what making a key of a passphrase takes.
type Cost struct {
	Memory  uint32 `json:"memory"` // KiB
	Time    uint32 `json:"time"`   // passes
	Threads uint8  `json:"threads"`
}

// DefaultCost is the OWASP Password Storage Cheat Sheet's: 19 MiB, two passes, one lane. One thread does everything in a
// browser, so that the engine does nothing else for as long as it takes, some 0.3 s in V8.
func DefaultCost() Cost { return Cost{Memory: 19 * 1024, Time: 2, Threads: 1} }

// A lock is read from a place that others could have written: what it may ask for is bounded.
const (
	lockVersion = 1
	mostMemory  = 256 << 10 // KiB
	mostTime    = 16
)

const (
	saltSize  = 16 // RFC 9106 section 3.1
	keySize   = 32
	keyIDSize = 4
)

type sealedKey struct {
	ID     string `json:"id"` // hex, keyIDSize octets
	Sealed []byte `json:"sealed"`
}

// sealingKey is an opened sealedKey.
type sealingKey struct {
	id  string
	key []byte
}

// MaxPassphrase is the length of a passphrase, in octets: no person types more.
const MaxPassphrase = 1024

var errDamaged = errors.New("a sealed secret is damaged")

func newSealingKey() sealingKey {
	k := sealingKey{key: make([]byte, keySize)}
	id := make([]byte, keyIDSize)
	rand.Read(k.key) // never fails, see crypto/rand
	rand.Read(id)
	k.id = hex.EncodeToString(id)
	return k
}

// newLock puts keys under a passphrase.
func newLock(passphrase string, c Cost, keys []sealingKey) (*passphraseLock, error) {
	l := &passphraseLock{Version: lockVersion, Cost: c, Salt: make([]byte, saltSize)}
	rand.Read(l.Salt)
	master := l.derive(passphrase)
	for _, k := range keys {
		sealed, err := seal(master, k.key, lockedName(k.id))
		if err != nil {
			return nil, err
		}
		l.Keys = append(l.Keys, sealedKey{k.id, sealed})
	}
	return l, nil
}

// open answers the keys, the one that seals first, or ErrWrongPassphrase.
func (l *passphraseLock) open(passphrase string) ([]sealingKey, error) {
	if len(passphrase) > MaxPassphrase {
		return nil, ErrWrongPassphrase
	}
	master := l.derive(passphrase)
	var keys []sealingKey
	for _, k := range l.Keys {
		key, err := unseal(master, k.Sealed, lockedName(k.ID))
		if err != nil {
			return nil, ErrWrongPassphrase
		}
		keys = append(keys, sealingKey{k.ID, key})
	}
	return keys, nil
}

func (l *passphraseLock) derive(passphrase string) []byte {
	return argon2.IDKey([]byte(passphrase), l.Salt, l.Cost.Time, l.Cost.Memory, l.Cost.Threads, keySize)
}

func lockedName(id string) string { return "key\x00" + id }

func (l *passphraseLock) encode() ([]byte, error) { return json.Marshal(l) }

func decodeLock(b []byte) (*passphraseLock, error) {
	l := new(passphraseLock)
	if err := json.Unmarshal(b, l); err != nil {
		return nil, fmt.Errorf("the record of the passphrase: %w", err)
	}
	c := l.Cost
	if l.Version != lockVersion || len(l.Keys) == 0 || len(l.Salt) < 8 ||
		c.Memory < 8 || c.Memory > mostMemory || c.Time < 1 || c.Time > mostTime || c.Threads < 1 || c.Threads > 16 {
		return nil, fmt.Errorf("the record of the passphrase: version %d, %+v, %d keys", l.Version, c, len(l.Keys))
	}
	for _, k := range l.Keys {
		if id, err := hex.DecodeString(k.ID); err != nil || len(id) != keyIDSize {
			return nil, fmt.Errorf("the record of the passphrase: a key of the name %q", k.ID)
		}
	}
	return l, nil
}

// sealSecret binds a secret to its name: it opens under no other. It begins with the version and the key's name.
func sealSecret(k sealingKey, secret []byte, name string) ([]byte, error) {
	id, err := hex.DecodeString(k.id)
	if err != nil {
		return nil, err
	}
	sealed, err := seal(k.key, secret, "secret\x00"+name)
	return append(append([]byte{lockVersion}, id...), sealed...), err
}

// keyOf is the name of the key that a secret was sealed with.
func keyOf(sealed []byte) string {
	if len(sealed) < 1+keyIDSize || sealed[0] != lockVersion {
		return ""
	}
	return hex.EncodeToString(sealed[1 : 1+keyIDSize])
}

func unsealSecret(keys []sealingKey, sealed []byte, name string) ([]byte, error) {
	id := keyOf(sealed)
	for _, k := range keys {
		if k.id == id {
			return unseal(k.key, sealed[1+keyIDSize:], "secret\x00"+name)
		}
	}
	return nil, errDamaged
}

// seal encrypts with a random nonce, which it puts before the rest. A key seals a few hundred times in its life, and
// 2^32 times is what is allowed.
func seal(key, plain []byte, bound string) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, []byte(bound)), nil
}

func unseal(key, sealed []byte, bound string) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	n := aead.NonceSize()
	if len(sealed) < n {
		return nil, errDamaged
	}
	plain, err := aead.Open(nil, sealed[:n], sealed[n:], []byte(bound))
	if err != nil {
		return nil, errDamaged
	}
	return plain, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
