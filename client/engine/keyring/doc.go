// Package keyring keeps secrets on this device: in a Vault, and there, if there is a passphrase, sealed under a key that
// is made of it. A cut at any moment leaves every secret under the old passphrase or under the new one, and loses none.
//
//   - RFC 9106: Argon2id, which makes the key of a passphrase
//   - NIST SP 800-38D: AES-256-GCM, which seals
package keyring
