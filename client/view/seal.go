package view

import "github.com/postern-mail/postern/client/api"

// Seal is an account's badge: who can read what goes between this device and the mail servers.
type Seal struct {
	Text, Title, Icon string
	Bad               bool
}

// SealOf is an account's badge.
func SealOf(a api.Account) Seal {
	if a.Sealed {
		return Seal{"Sealed", "Encrypted from this browser to the mail servers: TLS ends in this browser, and the gateway sees only ciphertext.", "lock", false}
	}
	return Seal{"Not sealed", "Not encrypted all the way: " + readAlong, "unlocked", true}
}
