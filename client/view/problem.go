package view

import (
	"context"
	"errors"

	"github.com/postern-mail/postern/client/api"
)

// Words are a problem in a person's language: what happened, what it means, what to do. Technical is for the fold.
type Words struct {
	Title     string
	Means     string
	Do        string
	Technical string
	Waits     bool // it mends itself in time: amber, not red
}

// words holds what is said for each code. %s in Title or Means is the problem's Detail; the sentence without one follows
// it for when there is no Detail.
var words = map[api.Code]struct {
	title, means, meansBare, do string
	waits                       bool
}{
	api.CodeGatewayOffline:    {"You are offline", "", "Postern's gateway cannot be reached. Your mail is here to read and write; what you send waits in the Outbox.", "Nothing: it is tried again by itself.", true},
	api.CodeGatewayRefused:    {"The gateway refused this page", "It said: %s.", "The page and the gateway do not fit together.", "Reload the page. If it stays like this, ask whoever runs the gateway.", false},
	api.CodeTokenNeeded:       {"This gateway asks for an access token", "", "Whoever runs it gives you one.", "Enter the token.", true},
	api.CodeWrongToken:        {"The access token was not accepted", "", "The gateway does not know this token, or knows it no longer.", "Check it for typing errors, or ask whoever runs the gateway for another.", false},
	api.CodeLoginNeeded:       {"The gateway does not know who you are", "", "You are to sign in at the page that comes before it, and that has not happened, or was too long ago.", "Reload the page, and sign in there.", false},
	api.CodeLockedOut:         {"The gateway is closed to this network for a while", "It said: %s.", "Too many wrong access tokens came from here. Even the right one has to wait.", "Try again later. If it was not you, tell whoever runs the gateway.", false},
	api.CodeGatewayBusy:       {"The gateway has as much to do as it may", "It said: %s.", "There are too many connections, or too many at a time.", "Nothing: it is tried again by itself. It helps to close other windows of it.", true},
	api.CodeGatewayCut:        {"The gateway closed a connection", "It said: %s.", "The connection was silent, or open, for longer than the gateway allows.", "Nothing: it is tried again by itself.", true},
	api.CodeTargetRefused:     {"The gateway does not allow this mail server", "It does not connect to %s.", "The gateway does not connect to this server.", "Check the address, or ask whoever runs the gateway to allow the server.", false},
	api.CodeServerUnreachable: {"The mail server cannot be reached", "%s does not answer, or does not exist.", "It does not answer, or does not exist.", "Check the address. If it is right, the server may be down: try again later.", true},
	api.CodeServerTimeout:     {"The mail server is not answering", "%s stopped in the middle.", "It stopped in the middle. Everything fetched so far is kept.", "Try again in a while.", true},
	api.CodeServerClosed:      {"The mail server hung up", "%s closed the connection in the middle.", "It closed the connection in the middle. Everything fetched so far is kept.", "Try again.", true},
	api.CodeServerProtocol:    {"The mail server said something odd", "What answers at %s does not seem to be a mail server.", "What answers there does not seem to be a mail server.", "Check the server's name, its port, and the security that goes with it.", false},
	api.CodeServerRefused:     {"The mail server said no", "It said: %s", "It gave no reason.", "Its words may say what to do; if not, ask whoever runs it.", false},
	api.CodeWrongPassword:     {"The password was not accepted", "The mail server does not know %s with this password.", "The mail server does not accept this address with this password.", "Check both for typing errors. Some providers want an app password here.", false},
	api.CodeMaildropLocked:    {"The mailbox is in use", "", "Another program has this mailbox open at the moment, and POP3 lets only one in.", "Nothing: it is tried again by itself. It helps to close the other program.", true},
	api.CodeCertificate:       {"The server could not prove who it is", "The certificate of %s does not verify, so nothing was sent to it.", "Its certificate does not verify, so nothing was sent to it.", "Ask whoever runs the server. Do not go on in a network that you do not trust.", false},
	api.CodePasswordNeeded:    {"The password is needed again", "It was not kept on this device for %s. Your mail is here to read.", "It was not kept on this device. Your mail is here to read.", "Sign in again to fetch and send.", true},
	api.CodeRecipientRefused:  {"An address was refused", "The mail server does not deliver to %s.", "The mail server does not deliver to a recipient.", "Check the address, then send again.", false},
	api.CodeMessageRefused:    {"The message was refused", "The mail server said: %s", "The mail server did not take it.", "Its words say why; change the message and send it again.", false},
	api.CodeTooLarge:          {"That is too large", "The limit is %s.", "It is over a limit of size.", "Send a smaller file, or a link to it.", false},
	api.CodeStorage:           {"This device could not write", "Writing failed: %s.", "The browser's storage failed, so nothing was changed.", "Reload the page. If it stays like this, check the disk.", false},
	api.CodeStorageFull:       {"This device is full", "There is no room for more mail here.", "There is no room for more mail here. Everything stored is kept.", "Free some space on this device, then try again.", false},
	api.CodeNoSuchMessage:     {"The message is not here any more", "", "It was moved or deleted, maybe in another tab.", "Go back to the list.", false},
	api.CodeBadRequest:        {"That did not work", "%s.", "The request made no sense to the mail engine.", "Try it another way.", false},
	api.CodeSettingsNeeded:    {"The mail servers are not known yet", "Nobody has said which servers serve %s.", "Nobody has said which servers serve this address.", "Set them up by hand: your provider's help pages name them.", false},
	api.CodeNoTLS:             {"The server offers no encryption", "The account asks for it, and %s does not offer it, or somebody on the way took the offer out. Nothing was sent.", "The account asks for it, and the server does not offer it, or somebody on the way took the offer out. Nothing was sent.", "Try another network. If it is the same there, try TLS on another port in the account's settings.", false},
	api.CodeNoMechanism:       {"There is no way to log in that both sides know", "The server offers %s.", "The server offers none that this account may use.", "Check the security in the account's settings, and whether a way to log in was chosen there by hand.", false},
	api.CodeLocked:            {"The passwords are locked", "They are under a passphrase on this device. Your mail is here to read.", "They are under a passphrase on this device. Your mail is here to read.", "Enter the passphrase to fetch and send.", true},
	api.CodeWrongPassphrase:   {"That is not the passphrase", "", "The passwords on this device stay locked.", "Try again. If it is lost, sign in to each account again with its password.", false},
	api.CodeUnconfirmed:       {"The server did not confirm the deletion", "%s may still have what was to be deleted there. Nothing is missing here.", "What was to be deleted there may still be there. Nothing is missing here.", "Nothing: it is tried again with the next fetch.", true},
	api.CodeExpires:           {"The server deletes mail by itself", "It does so %s. What was fetched stays here.", "What was fetched stays here.", "Fetch the rest of the messages of which only the beginning is here, and back up what you need.", false},
	api.CodeNotAdministrator:  {"This account does not look after the mail server", "The server does not show its queue to %s.", "The server does not show its queue to this account.", "Whoever runs the server can let it: postern user admin, with the address.", false},
	api.CodeNoSuchFile:        {"It is not there", "It said: %s", "The server has none of that name, or shows it to nobody.", "Refresh the folder: somebody may have moved it.", false},
	api.CodeFileExists:        {"That name is taken", "“%s” is there already.", "A file or folder of that name is there already.", "Choose another name.", false},
	api.CodeFileNotAllowed:    {"The server does not allow that", "It said: %s", "This user may not do it there.", "Ask whoever runs the server, or sign in as another user.", false},
	api.CodeServerFull:        {"The server is full", "It said: %s", "It has no room for the file, or not for this user.", "Delete something there, then try again.", false},
	api.CodeServerWantsTLS:    {"The server wants encryption", "It lets nobody in without.", "It lets nobody in without.", "Choose TLS in the settings of the server.", false},
	api.CodeTLSReuse:          {"The server refused the data connection", "It wants the TLS session of the control connection resumed on it, and was not satisfied.", "It wants the TLS session of the control connection resumed on it, and was not satisfied.", "Try again. If it stays like this, ask whoever runs the server about “session reuse”.", false},
	api.CodeNoData:            {"The data connection did not come", "Its passive ports are closed, or a firewall's: what is said on the control connection arrives, the files do not.", "Its passive ports are closed, or a firewall's: what is said on the control connection arrives, the files do not.", "Ask whoever runs the server to open its passive ports.", false},
	api.CodeDataElsewhere:     {"The server pointed to another host", "It wants its files fetched from %s, where Postern does not go: that is how servers are misused to reach others.", "It wants its files fetched from another host, where Postern does not go: that is how servers are misused to reach others.", "Ask whoever runs the server to give its passive mode its own address.", false},
	api.CodeServerBusy:        {"The server is busy", "It said: %s", "It has too many connections at the moment.", "Try again in a while. What is on its way goes on by itself.", true},
	api.CodeServerCannot:      {"The server cannot do that", "It said: %s", "It does not know the command.", "There is no way around it on this server.", false},
	api.CodeTruncated:         {"The file ended early", "It is shorter than the server had said.", "It is shorter than the server had said.", "Try again.", true},
	api.CodeIsFolder:          {"That is a folder", "", "A folder cannot be fetched or sent as a whole.", "Open it and choose the files in it.", false},
	api.CodeFileChanged:       {"The file changed meanwhile", "It is not any more what it was when the transfer began.", "It is not any more what it was when the transfer began.", "Begin again.", false},
	api.CodeOtherFile:         {"That is another file", "“%s” is not the one that the upload began with.", "It is not the one that the upload began with.", "Choose the same file, unchanged.", false},
	api.CodeBadName:           {"Nothing can be called that", "The name “%s” has something in it that no name may have.", "The name has something in it that no name may have.", "Choose another name.", false},
	api.CodeNoSuchTransfer:    {"The transfer is over", "It was cleared, maybe in another tab.", "It was cleared, maybe in another tab.", "Begin again if you need it.", false},
	api.CodeTooLate:           {"It was too late for that", "The server has been told already.", "The server has been told already.", "Look into the folder for what is still there.", false},
	api.CodeCanceled:          {"It was canceled", "", "It ended before it was done.", "Try again.", true},
	api.CodeInternal:          {"Something broke", "", "This is a fault of Postern, not yours. Your mail is safe.", "Reload the page. If it comes back, report it with the details below.", false},
}

// WordsFor puts a problem into words.
func WordsFor(p *api.Problem) Words {
	w, ok := words[p.Code]
	if !ok {
		w = words[api.CodeInternal]
	}
	out := Words{Title: w.title, Means: w.meansBare, Do: w.do, Technical: p.Technical, Waits: w.waits}
	if p.Detail != "" && w.means != "" {
		out.Means = fill(w.means, p.Detail)
	}
	if p.Means != "" {
		out.Means = sentences(out.Means, p.Means)
	}
	if p.Technical == "" {
		out.Technical = p.Error()
	} else {
		out.Technical = string(p.Code) + ": " + p.Technical
	}
	return out
}

// fill puts detail where pattern has %s, with no second full stop at the end.
func fill(pattern, detail string) string {
	for i := 0; i+1 < len(pattern); i++ {
		if pattern[i] == '%' && pattern[i+1] == 's' {
			tail := pattern[i+2:]
			if n := len(detail); n > 0 && tail == "." && (detail[n-1] == '.' || detail[n-1] == '!' || detail[n-1] == '?') {
				tail = ""
			}
			return pattern[:i] + detail + tail
		}
	}
	return pattern
}

// problemOf is the problem of a call: nil for nil, and what it is for anything that is not an *api.Problem.
func problemOf(err error) *api.Problem {
	var p *api.Problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p):
		return p
	case errors.Is(err, context.Canceled):
		return &api.Problem{Code: api.CodeCanceled, Technical: err.Error()}
	}
	return &api.Problem{Code: api.CodeInternal, Technical: err.Error()}
}
