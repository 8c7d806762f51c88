package pop3

import "strings"

// Explain says what the response code means, in a sentence; "" if there is none, or none that is known. A code with a slash
// that is not known means what its first part means (RFC 2449 section 8).
func (e *Error) Explain() string {
	switch e.Code {
	case "IN-USE":
		return "Another session has this mailbox open, perhaps another program's, or one of ours that was cut off. It works again when that session ends."
	case "LOGIN-DELAY":
		return "The server wants more time between two logins."
	case "SYS/TEMP":
		return "The server is in trouble that it expects to pass. Trying again later may help."
	case "SYS/PERM":
		return "The server is in trouble that will not pass by itself. Its operator has to look at it."
	case "AUTH":
		return "The user name or the password is wrong, or this user may not log in."
	case "UTF8":
		return "The message has characters in its header that the server gives only to clients that have asked for UTF-8."
	}
	switch level, _, _ := strings.Cut(e.Code, "/"); level {
	case "SYS":
		return "The server is in trouble that has nothing to do with the user name or the password."
	case "AUTH":
		return "The server does not accept the user name or the password."
	}
	return ""
}
