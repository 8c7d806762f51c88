// Package mtasts finds out whether a domain wants mail for it to travel under verified TLS alone, and to which hosts: SMTP MTA
// Strict Transport Security, RFC 8461.
//
// A domain says in a TXT record that it has a policy, and which (an id), and serves the policy by HTTPS. A [Cache] keeps what it
// has fetched for as long as the policy wants, whatever becomes of the record: who can forge the DNS cannot take a policy back
// that was seen. A policy that cannot be fetched, and was never seen, is none.
package mtasts
