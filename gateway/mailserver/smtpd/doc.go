// Package smtpd takes mail in: from the world for local recipients, and from
// users for anybody (message submission).
//
// The protocol is emersion/go-smtp's server. In front of it stands a thin layer
// (link) that owns the connection: it does STARTTLS, decides where a message
// ends, bounds lines and time, and shows go-smtp only text that can be read in
// one way. Behind it a session checks who sends what to whom, and writes the
// trace header.
//
// What the world sends is evaluated as it passes by (package authenticity); the
// result, and whether it is junk, goes into the trace fields of the final
// delivery, and what claims to be such a result and came from outside is
// removed. What users send is signed, and says that it is from them. Clients
// and users have their measure for each hour (Rates), strangers may have to
// come twice (Greylist).
//
// RFCs: 5321, 6409 (submission), 3207 (STARTTLS), 8314 (TLS from the first
// byte), 4954 (AUTH) with 7677 (SCRAM-SHA-256), 4616 (PLAIN) and LOGIN, 1870 (SIZE), 2920
// (PIPELINING), 3030 (CHUNKING), 3461 (DSN), 2034 and 3463 (enhanced codes), 6152
// (8BITMIME), 6531 (SMTPUTF8), 3848 (the protocol names of Received), 9422
// (LIMITS), 8601 (Authentication-Results), 6647 (greylisting).
package smtpd
