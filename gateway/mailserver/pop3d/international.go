package pop3d

import "strings"

// utf8Command is UTF8 (RFC 6856 §2.1): the client reads UTF-8 in headers.
//
// QUIRK: a message with UTF-8 in its header is given as it is to a client that
// has not said so, where RFC 6856 §5 has an answer, [UTF8], for a server that
// will not. Many programs stop at the first message that they are refused, and
// would never see those after it; all of them show such a header, as they had to
// long before there was a standard for it. Other servers do the same.
func (s *session) utf8Command(string) error {
	s.utf8 = true
	return s.ok("UTF-8 it is")
}

// language is the one that the server's answers are in (RFC 5646).
const language = "en"

// lang is LANG (RFC 6856 §3): the languages there are, or the choice of one.
func (s *session) lang(arg string) error {
	if arg == "" {
		s.ok("language listing follows")
		_, err := s.out.WriteString(language + " English\r\n.\r\n")
		return err
	}
	// A range such as en-GB is served by what it begins with: RFC 4647 §3.4.
	primary, _, _ := strings.Cut(arg, "-")
	if arg != "*" && !strings.EqualFold(primary, language) {
		return s.bad("%.40q is no language that this server speaks", arg)
	}
	return s.ok("%s English it is", language)
}
