package view

import "github.com/postern-mail/postern/client/api"

// fileWords are those of words that speak of mail, for file servers. (A list is looked through in no time, and needs no code to
// be filled in.)
var fileWords = []struct {
	code                        api.Code
	title, means, meansBare, do string
}{
	{api.CodeGatewayOffline, "You are offline", "", "Postern's gateway cannot be reached, and with it no file server.", "What is on its way goes on by itself when the connection is back."},
	{api.CodeTargetRefused, "The gateway does not allow this file server", "It does not connect to %s.", "The gateway does not connect to this server.", "Check the address, or ask whoever runs the gateway to allow the server."},
	{api.CodeServerUnreachable, "The file server cannot be reached", "%s does not answer, or does not exist.", "It does not answer, or does not exist.", "Check the address. If it is right, the server may be down: try again later."},
	{api.CodeServerTimeout, "The file server is not answering", "%s stopped in the middle.", "It stopped in the middle.", "Try again in a while."},
	{api.CodeServerClosed, "The file server hung up", "%s closed the connection in the middle.", "It closed the connection in the middle.", "Try again."},
	{api.CodeServerProtocol, "The file server said something odd", "What answers at %s does not seem to be an FTP server.", "What answers there does not seem to be an FTP server.", "Check the server's name, its port, and the security that goes with it."},
	{api.CodeServerRefused, "The file server said no", "It said: %s", "It gave no reason.", "Its words may say what to do; if not, ask whoever runs it."},
	{api.CodeWrongPassword, "The password was not accepted", "The file server does not know %s with this password.", "The file server does not accept this user with this password.", "Check both for typing errors."},
	{api.CodePasswordNeeded, "The password is needed again", "It was not kept on this device for %s.", "It was not kept on this device.", "Enter it to go on."},
	{api.CodeTooLarge, "That is too large to be mailed", "The limit is %s.", "It is over a limit of size.", "Send a link to it instead."},
	{api.CodeStorageFull, "This device is full", "There is no room for the file here.", "There is no room for the file here.", "Free some space on this device, then try again."},
	{api.CodeStorage, "This device could not write", "Writing failed: %s.", "The browser's storage failed.", "Try again. If it stays like this, check the disk."},
	{api.CodeLocked, "The passwords are locked", "They are under a passphrase on this device.", "They are under a passphrase on this device.", "Enter the passphrase above the mail to go on."},
	{api.CodeNoTLS, "The server offers no encryption", "TLS is asked for, and %s does not offer it, or somebody on the way took the offer out. Nothing was sent.", "TLS is asked for, and the server does not offer it, or somebody on the way took the offer out. Nothing was sent.", "Try “TLS from the start”. If the server has none at all, choose no security, and know that everybody on the way can read along."},
	{api.CodeInternal, "Something broke", "", "This is a fault of Postern, not yours. The files on the server are as they were.", "Reload the page. If it comes back, report it with the details below."},
}

// FileWords puts a problem with files into words.
func FileWords(p *api.Problem) Words {
	out := WordsFor(p)
	for i := range fileWords {
		w := &fileWords[i]
		if w.code != p.Code {
			continue
		}
		out.Title, out.Means, out.Do = w.title, w.meansBare, w.do
		if p.Detail != "" && w.means != "" {
			out.Means = fill(w.means, p.Detail)
		}
		if p.Means != "" {
			out.Means = sentences(out.Means, p.Means)
		}
	}
	return out
}

// FileTrouble is FileWords with what the page knows of the certificate that the problem may be about.
func (a *App) FileTrouble(p *api.Problem) Words {
	w := FileWords(p)
	if p.Certificate != nil {
		x := a.Trust.about(p.Certificate)
		w.Title, w.Means, w.Do = x.Title, x.Means, x.Do
	}
	return w
}
