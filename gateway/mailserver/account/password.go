// Package account checks passwords: how they are kept (argon2id, RFC 9106, in
// PHC strings, and beside it the keys of SCRAM-SHA-256, RFC 5802 and 7677), how
// much it may cost the server to check one, and how slow guessing is made.
package account

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Params are the costs of one argon2id computation.
type Params struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// DefaultParams are what new passwords are hashed with: 19 MiB, two passes,
// one lane, as the OWASP Password Storage Cheat Sheet advises.
func DefaultParams() Params { return Params{Memory: 19 * 1024, Time: 2, Threads: 1} }

const (
	saltSize = 16 // octets, RFC 9106 §3.1
	keySize  = 32

	// maxPassword bounds what a client can make argon2 and the log of a
	// protocol line carry; no person types more.
	maxPassword = 1024

	// What a stored hash may ask for, so that a damaged row cannot take the
	// machine's memory.
	maxMemory = 256 * 1024
	maxTime   = 16
)

// ErrHash says that a stored hash is not one this package can check.
var ErrHash = errors.New("account: not an argon2id PHC string")

// ErrPassword says that a password cannot be used: empty, too long, or with a
// NUL, which SASL PLAIN (RFC 4616 §2) cannot carry.
var ErrPassword = errors.New("account: a password has 1 to 1,024 octets and no NUL")

// Hash makes the PHC string of a password with a fresh salt:
//
//	$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>
func Hash(password string, p Params) (string, error) {
	if password == "" || len(password) > maxPassword || strings.ContainsRune(password, 0) {
		return "", ErrPassword
	}
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails, see crypto/rand
	key := argon2.IDKey([]byte(password), salt, p.Time, p.Memory, p.Threads, keySize)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Time, p.Threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

// Verify says whether the password is the one that phc was made of. It takes
// as long for a wrong password as for the right one.
func Verify(phc, password string) (bool, error) {
	p, salt, key, err := parse(phc)
	if err != nil {
		return false, err
	}
	if len(password) > maxPassword {
		password = password[:maxPassword]
	}
	got := argon2.IDKey([]byte(password), salt, p.Time, p.Memory, p.Threads, uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1, nil
}

func parse(phc string) (p Params, salt, key []byte, err error) {
	fields := strings.Split(phc, "$")
	if len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" || fields[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, nil, nil, ErrHash
	}
	if n, err := fmt.Sscanf(fields[3], "m=%d,t=%d,p=%d", &p.Memory, &p.Time, &p.Threads); err != nil || n != 3 {
		return p, nil, nil, ErrHash
	}
	if p.Time < 1 || p.Time > maxTime || p.Threads < 1 || p.Memory < 8*uint32(p.Threads) || p.Memory > maxMemory {
		return p, nil, nil, ErrHash
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(fields[4])
	key, err2 := base64.RawStdEncoding.DecodeString(fields[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(key) < 16 || len(key) > 64 {
		return p, nil, nil, ErrHash
	}
	return p, salt, key, nil
}
