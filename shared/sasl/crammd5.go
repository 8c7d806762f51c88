package sasl

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
	"fmt"

	gosasl "github.com/emersion/go-sasl"
)

// cramMD5 is CRAM-MD5: RFC 2195 section 2.
type cramMD5 struct {
	c    Credentials
	done bool
}

func newCRAMMD5(c Credentials) gosasl.Client { return &cramMD5{c: c} }

func (m *cramMD5) Start() (string, []byte, error) { return CRAMMD5, nil, nil }

func (m *cramMD5) Next(challenge []byte) ([]byte, error) {
	if m.done || len(challenge) == 0 || len(challenge) > MaxChallenge {
		return nil, fmt.Errorf("%w: CRAM-MD5 has one, and it is not empty", ErrChallenge)
	}
	m.done = true
	mac := hmac.New(md5.New, []byte(m.c.Password))
	mac.Write(challenge)
	return []byte(m.c.User + " " + hex.EncodeToString(mac.Sum(nil))), nil
}
