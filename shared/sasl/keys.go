package sasl

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// ErrKeys says that a text is no SCRAM-SHA-256 authPassword.
var ErrKeys = errors.New("sasl: not SCRAM-SHA-256 keys")

// DefaultIterations is the count for new keys: eight times the least of RFC 7677 section 4. Each login costs the client as
// many, a tenth of a second in a browser, and whoever steals the keys as many for each guess.
const DefaultIterations = 8 * MinIterations

// Keys are what a server keeps of a password for SCRAM-SHA-256. Who has them can play the server, and try passwords out; he
// cannot log in. See RFC 5802 section 3.
type Keys struct {
	Salt       []byte // 1 to 1,024 octets
	Iterations int    // MinIterations to MaxIterations
	StoredKey  []byte // 32 octets
	ServerKey  []byte // 32 octets
}

// NewKeys makes the keys of a password under a fresh salt; iterations of 0 is [DefaultIterations].
func NewKeys(password string, iterations int) Keys {
	salt := make([]byte, 16)
	rand.Read(salt)
	return DeriveKeys(password, salt, iterations)
}

// DeriveKeys makes the keys of a password under a known salt: RFC 5802 section 3.
func DeriveKeys(password string, salt []byte, iterations int) Keys {
	if iterations == 0 {
		iterations = DefaultIterations
	}
	salted := hi([]byte(password), salt, iterations)
	stored := sha256.Sum256(mac(salted, "Client Key"))
	return Keys{Salt: salt, Iterations: iterations, StoredKey: stored[:], ServerKey: mac(salted, "Server Key")}
}

// String writes the keys as an authPassword of RFC 5803 section 2:
//
//	SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>
func (k Keys) String() string {
	b64 := base64.StdEncoding.EncodeToString
	return SCRAMSHA256 + "$" + strconv.Itoa(k.Iterations) + ":" + b64(k.Salt) + "$" + b64(k.StoredKey) + ":" + b64(k.ServerKey)
}

// ParseKeys reads what String wrote.
func ParseKeys(text string) (Keys, error) {
	fields := strings.Split(text, "$")
	if len(fields) != 3 || fields[0] != SCRAMSHA256 {
		return Keys{}, ErrKeys
	}
	count, salt, ok1 := strings.Cut(fields[1], ":")
	stored, server, ok2 := strings.Cut(fields[2], ":")
	var k Keys
	var errs [4]error
	k.Iterations, errs[0] = strconv.Atoi(count)
	k.Salt, errs[1] = base64.StdEncoding.DecodeString(salt)
	k.StoredKey, errs[2] = base64.StdEncoding.DecodeString(stored)
	k.ServerKey, errs[3] = base64.StdEncoding.DecodeString(server)
	if !ok1 || !ok2 || errors.Join(errs[:]...) != nil || k.Iterations < MinIterations || k.Iterations > MaxIterations ||
		len(k.Salt) == 0 || len(k.Salt) > maxSalt || len(k.StoredKey) != sha256.Size || len(k.ServerKey) != sha256.Size {
		return Keys{}, ErrKeys
	}
	return k, nil
}

// proves says whether the proof shows knowledge of the password: RFC 5802 section 3.
func (k Keys) proves(proof []byte, authMessage string) bool {
	if len(proof) != sha256.Size {
		return false
	}
	clientKey := mac(k.StoredKey, authMessage)
	for i := range clientKey {
		clientKey[i] ^= proof[i]
	}
	stored := sha256.Sum256(clientKey)
	return hmac.Equal(stored[:], k.StoredKey)
}
