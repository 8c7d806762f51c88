package mail

import "github.com/postern-mail/postern/shared/mail/charset"

// native reads messages as a native program does.
var native = Reader{Charsets: charset.Decode}
