package sasl

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	gosasl "github.com/emersion/go-sasl"
)

// Bounds of SCRAM's iteration count. RFC 7677 section 4 wants 4,096 at least; fewer would let a false server guess the
// password from the client's proof for less. A million, more than any recommendation for PBKDF2, takes some 3 s in a browser.
const (
	MinIterations = 4096
	MaxIterations = 1_000_000
)

const (
	// yieldEvery is after how many iterations, some 15 ms in a browser, others get a turn.
	yieldEvery = 4096
	maxSalt    = 1024
)

// The header of GS2 that says that the client has no channel binding to offer: RFC 5802 section 7.
const (
	gs2Header       = "n,,"
	gs2HeaderBase64 = "biws"
)

// scram is SCRAM-SHA-256: RFC 5802 with the hash of RFC 7677. The standard library has all the parts; what is here is
// the order they come in.
type scram struct {
	c     Credentials
	nonce string // the client's
	step  int

	bare     string // client-first-message-bare
	expected []byte // the server's signature
	proved   bool
}

func newSCRAM(c Credentials) gosasl.Client {
	var nonce [24]byte
	rand.Read(nonce[:])
	return &scram{c: c, nonce: base64.StdEncoding.EncodeToString(nonce[:])}
}

func (s *scram) Start() (string, []byte, error) {
	s.bare = "n=" + saslname(s.c.User) + ",r=" + s.nonce
	return SCRAMSHA256, []byte(gs2Header + s.bare), nil
}

func (s *scram) Next(challenge []byte) ([]byte, error) {
	if len(challenge) > MaxChallenge {
		return nil, fmt.Errorf("%w: of more than %d octets", ErrChallenge, MaxChallenge)
	}
	s.step++
	switch s.step {
	case 1:
		return s.prove(string(challenge))
	case 2:
		return []byte{}, s.verify(string(challenge))
	}
	return nil, fmt.Errorf("%w: SCRAM has two", ErrChallenge)
}

// prove answers server-first-message by client-final-message: RFC 5802 section 3.
func (s *scram) prove(first string) ([]byte, error) {
	nonce, salt, iterations, err := s.parseFirst(first)
	if err != nil {
		return nil, err
	}
	salted := hi([]byte(s.c.Password), salt, iterations)
	clientKey := mac(salted, "Client Key")
	storedKey := sha256.Sum256(clientKey)
	final := "c=" + gs2HeaderBase64 + ",r=" + nonce
	authMessage := s.bare + "," + first + "," + final
	proof := mac(storedKey[:], authMessage)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	s.expected = mac(mac(salted, "Server Key"), authMessage)
	return []byte(final + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// parseFirst reads "r=nonce,s=salt,i=iterations", with extensions after it left alone: RFC 5802 section 7. An "m=" before it is
// an extension that must be understood, and none is.
func (s *scram) parseFirst(first string) (nonce string, salt []byte, iterations int, err error) {
	bad := func(what string) (string, []byte, int, error) {
		return "", nil, 0, fmt.Errorf("%w: SCRAM's first has %s", ErrChallenge, what)
	}
	fields := strings.SplitN(first, ",", 4)
	if len(fields) < 3 {
		return bad("too few fields")
	}
	nonce, ok := strings.CutPrefix(fields[0], "r=")
	if !ok || len(nonce) <= len(s.nonce) || !strings.HasPrefix(nonce, s.nonce) ||
		strings.ContainsFunc(nonce, func(r rune) bool { return r < 0x21 || r > 0x7E }) {
		return bad("a nonce that does not continue ours")
	}
	encoded, ok := strings.CutPrefix(fields[1], "s=")
	salt, err = base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(salt) == 0 || len(salt) > maxSalt {
		return bad("no salt")
	}
	count, ok := strings.CutPrefix(fields[2], "i=")
	iterations, err = strconv.Atoi(count)
	if !ok || err != nil {
		return bad("no iteration count")
	}
	if iterations < MinIterations || iterations > MaxIterations {
		return bad(fmt.Sprintf("an iteration count of %d, not %d to %d", iterations, MinIterations, MaxIterations))
	}
	return nonce, salt, iterations, nil
}

// verify reads server-final-message. One that starts with "e=" is a refusal, which the protocol about it repeats.
func (s *scram) verify(final string) error {
	if strings.HasPrefix(final, "e=") {
		return nil
	}
	encoded, ok := strings.CutPrefix(final, "v=")
	encoded, _, _ = strings.Cut(encoded, ",") // extensions
	signature, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if !ok || err != nil || !hmac.Equal(signature, s.expected) {
		return ErrServerProof
	}
	s.proved = true
	return nil
}

func (s *scram) finished() error {
	if !s.proved {
		return ErrServerProof
	}
	return nil
}

// hi is PBKDF2 with HMAC-SHA-256 and one block of output: RFC 5802 section 2.2. It is not crypto/pbkdf2 because it must not
// hold the one thread that a browser's WebAssembly has: a sleep, and nothing else, lets the event loop have its turn.
func hi(password, salt []byte, iterations int) []byte {
	prf := hmac.New(sha256.New, password)
	prf.Write(salt)
	prf.Write(binary.BigEndian.AppendUint32(nil, 1))
	u := prf.Sum(nil)
	result := append([]byte(nil), u...)
	for i := 1; i < iterations; i++ {
		if i%yieldEvery == 0 {
			time.Sleep(time.Nanosecond)
		}
		prf.Reset()
		prf.Write(u)
		u = prf.Sum(u[:0])
		for j := range result {
			result[j] ^= u[j]
		}
	}
	return result
}

func mac(key []byte, message string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(message))
	return m.Sum(nil)
}

// saslname writes a user name without the characters that separate fields: RFC 5802 section 5.1.
func saslname(user string) string {
	return strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user)
}
