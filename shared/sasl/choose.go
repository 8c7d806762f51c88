package sasl

import (
	"fmt"
	"slices"
	"strings"
)

// Choose answers the safest announced mechanism that c can use. Without tls, only those that do not show the password
// (SCRAM-SHA-256, CRAM-MD5), unless plaintext allows all. only, if not empty, is the one that the user chose.
//
// Under TLS to a server whose certificate was verified, CRAM-MD5 comes last: what it hides, TLS hides better, and a server
// can only do it for accounts whose password it keeps readable, while announcing it to all. SCRAM comes first on either
// side, being the only one in which the server proves itself too.
//
// The error is [ErrPlaintext] if tls would have made the difference, else [ErrNoMechanism], or [ErrUnsupported] for an only
// that is none.
func Choose(announced []string, c Credentials, tls, plaintext bool, only string) (string, error) {
	order := []string{SCRAMSHA256, CRAMMD5, Plain, Login}
	if tls {
		order = []string{SCRAMSHA256, Plain, Login, CRAMMD5}
	}
	if c.Token != "" {
		order = []string{OAuthBearer, XOAuth2}
	}
	if only != "" {
		only = strings.ToUpper(only)
		if !slices.Contains([]string{SCRAMSHA256, CRAMMD5, Plain, Login, OAuthBearer, XOAuth2}, only) {
			return "", fmt.Errorf("%w: %q", ErrUnsupported, only)
		}
		order = []string{only}
	}
	exposed := ""
	for _, mechanism := range order {
		if !slices.ContainsFunc(announced, func(a string) bool { return strings.EqualFold(a, mechanism) }) {
			continue
		}
		if c.check(mechanism) != nil {
			continue
		}
		if !tls && !plaintext && !Hides(mechanism) {
			exposed = mechanism
			continue
		}
		return mechanism, nil
	}
	switch {
	case exposed != "":
		return "", fmt.Errorf("%w: the server offers %s", ErrPlaintext, exposed)
	case only != "":
		return "", fmt.Errorf("%w: %s was asked for, the server offers %s", ErrNoMechanism, only, offer(announced))
	}
	return "", fmt.Errorf("%w: the server offers %s", ErrNoMechanism, offer(announced))
}

// Hides reports whether somebody who reads along a run of the mechanism does not learn the password.
func Hides(mechanism string) bool {
	return strings.EqualFold(mechanism, SCRAMSHA256) || strings.EqualFold(mechanism, CRAMMD5)
}

func offer(announced []string) string {
	if len(announced) == 0 {
		return "none"
	}
	return strings.Join(announced, " ")
}
