//go:build unix

package testbed

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"time"
)

// tokenKey is what the bed's tokens are signed with.
const tokenKey = "the key of tests that mean no harm"

// Token returns a bearer token of a user, good for an hour: a JWT (RFC 7519), signed with HS256, such as an OAuth 2.0 server gives.
func (b *Bed) Token(user string) string {
	now := time.Now().Unix()
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		encode(fmt.Appendf(nil, `{"sub":%q,"iat":%d,"nbf":%d,"exp":%d}`, user, now-60, now-60, now+3600))
	mac := hmac.New(sha256.New, []byte(tokenKey))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

func (d *Door) pop3s() string { return net.JoinHostPort(d.Host, strconv.Itoa(d.POP3S)) }
