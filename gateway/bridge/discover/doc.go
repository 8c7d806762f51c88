// Package discover finds out which servers serve the mail of a domain, by the look-ups that a browser cannot make: SRV
// records (RFC 6186, and RFC 8314 section 5.1 for submissions) and the configuration file that a domain publishes over
// HTTPS for mail clients (autoconfig).
//
// It is told a domain and nothing else: the variant of autoconfig that puts the user's address into the URL is not used, so
// neither the gateway's operator nor the domain's web server learns whose mailbox is being set up. Files are fetched
// over HTTPS alone, with the certificate checked, since what is in them decides where a password goes. Whom to dial
// is for the caller's Dial to allow.
package discover
