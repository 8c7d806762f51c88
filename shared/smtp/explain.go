package smtp

import (
	"strconv"
	"strings"
)

// Explain says in a sentence what a refusal means, by its status code (RFC 3463 and its registry), or by its reply code where
// it has none. It is empty for codes that say nothing of their own.
func (e *Error) Explain() string {
	if len(e.Enhanced) > 2 {
		detail := e.Enhanced[1:] // the class is said by whether it is temporary
		if s := sentence(statusCodes, detail); s != "" {
			return s
		}
		if subject, _, ok := strings.Cut(detail[1:], "."); ok && subject != "0" {
			if s := sentence(subjects, subject); s != "" {
				return s
			}
		}
	}
	return sentence(replyCodes, strconv.Itoa(e.Code))
}

// sentence finds what a table says of a code. A table has a line for each: the code, a blank, the sentence.
func sentence(table, code string) string {
	for line := range strings.SplitSeq(table, "\n") {
		if c, s, ok := strings.Cut(line, " "); ok && c == code {
			return s
		}
	}
	return ""
}

// statusCodes are those of RFC 3463 section 3, and of the registry "SMTP Enhanced Status Codes" (RFC 5248), without their
// class.
const statusCodes = `.1.0 There is something wrong with the address.
.1.1 There is no such mailbox at that domain.
.1.2 There is no such domain, or it takes no mail.
.1.3 The address is not written as addresses are.
.1.4 The address could mean more than one mailbox.
.1.6 The mailbox has moved, and left no new address.
.1.7 The sender's address is not written as addresses are.
.1.8 The sender's domain does not exist, or takes no mail.
.1.9 The message was passed on to a server that cannot report on it.
.1.10 The domain says that it takes no mail.
.2.0 There is something wrong with the mailbox.
.2.1 The mailbox takes no mail: it is disabled.
.2.2 The mailbox is full.
.2.3 The message is larger than the mailbox may take.
.2.4 The mailing list could not be expanded.
.3.0 There is something wrong with the server's own system.
.3.1 The server has no room left for mail.
.3.2 The server takes no mail at the moment.
.3.3 The server lacks something that the message asks for.
.3.4 The message is larger than the server takes.
.3.5 The server is not set up rightly.
.3.6 The server changed the priority of the message.
.4.0 There is something wrong with the network on the way.
.4.1 The recipient's server does not answer.
.4.2 The connection between the servers broke.
.4.3 A directory that the server asks does not answer.
.4.4 The server found no way to the recipient's server.
.4.5 The mail system has too much to do.
.4.6 The message goes in circles between servers.
.4.7 The message was too long on its way.
.5.0 Client and server misunderstood each other.
.5.1 The server does not take that command now.
.5.2 The server did not understand the command.
.5.3 There are too many recipients at once.
.5.4 The server does not know a parameter of the command.
.5.5 Client and server speak different versions of a protocol.
.5.6 The server's answer to the authentication was too long.
.6.0 There is something wrong with the message's content.
.6.1 The server does not take this kind of content.
.6.2 The message has to be converted, which is not allowed.
.6.3 The message has to be converted, which the server cannot.
.6.4 The message was converted, and lost something.
.6.5 The message could not be converted.
.6.6 The content of the message cannot be had.
.6.7 An address beyond ASCII is not taken here.
.6.8 The server's answer cannot be given without UTF-8.
.6.9 The header holds UTF-8, which the recipient's server cannot take.
.6.10 An address beyond ASCII is not taken here.
.7.0 The server's rules are against it.
.7.1 The server's rules do not let you send this message, or to this recipient.
.7.2 You may not write to this mailing list.
.7.3 The message has to be secured in another way, which the server cannot.
.7.4 The server lacks a means of security that is asked for.
.7.5 Something went wrong with encryption.
.7.6 The server does not know the encryption.
.7.7 The message was changed on its way.
.7.8 The name or the password is wrong.
.7.9 This way of logging in is too weak for the server.
.7.10 The server wants encryption first.
.7.11 This way of logging in needs encryption.
.7.12 The password has to be changed over first.
.7.13 The account is disabled.
.7.14 The server does not know you well enough for that.
.7.15 The message's priority is too low for now.
.7.16 The message is too large for its priority.
.7.17 The mailbox has changed hands since.
.7.18 The domain has changed hands since.
.7.19 It cannot be told whether the mailbox has changed hands.
.7.20 The message has no valid DKIM signature.
.7.21 The message has no DKIM signature that counts.
.7.22 The message has no valid DKIM signature of its author.
.7.23 The sender's domain does not let this server send for it (SPF).
.7.24 The sender's domain could not be checked (SPF).
.7.25 The sending server's name and address do not match.
.7.26 The message passed neither SPF nor DKIM.
.7.27 The sender's domain says that it sends no mail.
.7.28 Too many messages came from there.
.7.29 The message's chain of signatures (ARC) is broken.
.7.30 The message wants TLS all the way, and the next server has none.`

// subjects are those of RFC 3463 section 4, for details that are not known.
const subjects = `1 There is something wrong with an address.
2 There is something wrong with the mailbox.
3 There is something wrong with the server's own system.
4 There is something wrong with the network on the way.
5 Client and server misunderstood each other.
6 There is something wrong with the message's content.
7 The server's rules are against it.`

// replyCodes are those of RFC 5321 section 4.2.3, RFC 4954 section 6 and RFC 7504.
const replyCodes = `421 The server is going away, or has too much to do.
432 The password has to be changed over first.
450 The mailbox cannot be had now: it is in use, or the server wants to see whether you come back.
451 Something went wrong at the server.
452 The server has no room now, or takes no more recipients at once.
454 The server cannot check passwords now, or has no TLS now.
455 The server cannot take a parameter of the command now.
500 The server did not understand the command.
501 The server did not understand what came with the command.
502 The server does not have that command.
503 The server does not take that command now.
504 The server does not know a parameter of the command.
521 The server takes no mail.
523 The password is too long for the server.
530 The server wants you to log in, or wants encryption, first.
534 This way of logging in is too weak for the server.
535 The name or the password is wrong.
538 This way of logging in needs encryption.
550 There is no such mailbox, or the server's rules are against it.
551 The mailbox is elsewhere.
552 The message is too large, or the mailbox is full.
553 The address is not allowed.
554 The server refused, and does not say why.
555 The server does not know a parameter of the command.
556 The domain takes no mail.`
