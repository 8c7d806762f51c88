package api

import "time"

// AccountID names an account in the engine; it is made from the address and is stable over restarts.
type AccountID string

// FolderID is one of the folders every account has.
type FolderID string

// The folders of an account, in the order in which they are shown.
const (
	Inbox  FolderID = "inbox"
	Drafts FolderID = "drafts"
	Outbox FolderID = "outbox"
	Sent   FolderID = "sent"
	Trash  FolderID = "trash"
)

// Junk is a folder that an account has once its mail server has called a message junk. It is not one of Folders.
const Junk FolderID = "junk"

// Folders lists every folder in the order of display.
var Folders = []FolderID{Inbox, Drafts, Outbox, Sent, Trash}

// MessageID numbers a message within its account. Numbers start at 1, grow, are never used again, and fit a JavaScript
// number (53 bits).
type MessageID uint64

// Address is a mailbox of RFC 5322 section 3.4: a display name, decoded and possibly empty, and an addr-spec.
type Address struct {
	Name string `json:"name,omitempty"`
	Addr string `json:"addr"`
}

// OutboxState is where a message on its way is. Every message in the outbox is in exactly one of these.
type OutboxState string

const (
	StateDraft    OutboxState = "draft"    // not sent yet; the user is writing it
	StateQueued   OutboxState = "queued"   // waits for the engine to send it, now or when the gateway is back
	StateSending  OutboxState = "sending"  // on the wire
	StateSent     OutboxState = "sent"     // the server answered 250 to the final dot
	StateDeferred OutboxState = "deferred" // a temporary failure; tried again at RetryAt
	StateFailed   OutboxState = "failed"   // a permanent failure; nothing more happens without the user
	StateUnknown  OutboxState = "unknown"  // cut between the final dot and its answer: it may have been sent. Never resent without the user
)

// Code says what kind of trouble a Problem is. The page has the words for each.
type Code string

const (
	CodeGatewayOffline    Code = "gateway-offline"    // no WebSocket to the gateway
	CodeGatewayRefused    Code = "gateway-refused"    // the gateway refused the session (its version)
	CodeTokenNeeded       Code = "token-needed"       // the gateway asks for an access token
	CodeWrongToken        Code = "wrong-token"        // and does not take the one that it was given
	CodeLoginNeeded       Code = "login-needed"       // the proxy before the gateway does not know who this is
	CodeLockedOut         Code = "locked-out"         // the gateway has had too many wrong tokens from here
	CodeGatewayBusy       Code = "gateway-busy"       // a limit of the gateway's is reached: sessions, streams, so many in a minute
	CodeGatewayCut        Code = "gateway-cut"        // the gateway ended a connection that was silent, or open, for too long
	CodeTargetRefused     Code = "target-refused"     // the gateway's policy does not allow that host or port
	CodeServerUnreachable Code = "server-unreachable" // no such host, or it does not answer
	CodeServerTimeout     Code = "server-timeout"     // the server stalled
	CodeServerClosed      Code = "server-closed"      // the server closed in the middle
	CodeServerProtocol    Code = "server-protocol"    // the server said something that is not POP3 or SMTP
	CodeServerRefused     Code = "server-refused"     // the server said no, in words: Detail has them
	CodeWrongPassword     Code = "wrong-password"     // the server does not accept name and password
	CodeMaildropLocked    Code = "maildrop-locked"    // another client has the mailbox open (POP3 [IN-USE])
	CodeCertificate       Code = "certificate"        // the server's certificate does not verify
	CodePasswordNeeded    Code = "password-needed"    // the engine has no password for this account (after a restart)
	CodeRecipientRefused  Code = "recipient-refused"  // the server refused one or more recipients
	CodeMessageRefused    Code = "message-refused"    // the server refused the message
	CodeTooLarge          Code = "too-large"          // over a size limit; Detail names it
	CodeStorage           Code = "storage"            // the mail could not be written to this device
	CodeStorageFull       Code = "storage-full"       // this device has no room left
	CodeNoSuchMessage     Code = "no-such-message"    // the message is not in the store (any more)
	CodeBadRequest        Code = "bad-request"        // the call itself makes no sense: an empty recipient list, say
	CodeSettingsNeeded    Code = "settings-needed"    // nobody has said which servers serve this address
	CodeNoTLS             Code = "no-tls"             // the account says TLS, and the server (or somebody on the way) offers none
	CodeNoMechanism       Code = "no-mechanism"       // server and account have no way to log in in common
	CodeLocked            Code = "locked"             // the passwords are under a passphrase that has not been given
	CodeWrongPassphrase   Code = "wrong-passphrase"   // that is not the passphrase
	CodeUnconfirmed       Code = "unconfirmed"        // the UPDATE of a POP3 session was not confirmed: what was to be deleted may still be on the server
	CodeExpires           Code = "expires"            // the server deletes mail by itself, Detail says when: "after 30 days"
	CodeNotAdministrator  Code = "not-administrator"  // this account does not look after its mail server
	CodeNoSuchFile        Code = "no-such-file"       // the FTP server has none of that name, or shows it to nobody
	CodeFileExists        Code = "file-exists"        // there is one of that name: Detail has it
	CodeFileNotAllowed    Code = "file-not-allowed"   // the FTP server does not let this user: Detail has its words
	CodeServerFull        Code = "server-full"        // the FTP server has no room, or not for this user
	CodeServerWantsTLS    Code = "server-wants-tls"   // the site says plain text, and its server does not
	CodeTLSReuse          Code = "tls-reuse"          // the FTP server wants its TLS session resumed on data connections, and was not satisfied
	CodeNoData            Code = "no-data"            // the data connection did not come: the server's passive ports are closed, by a firewall say
	CodeDataElsewhere     Code = "data-elsewhere"     // and the server had named another host for it, Detail has which, where nobody goes
	CodeServerBusy        Code = "server-busy"        // the FTP server says to come later
	CodeServerCannot      Code = "server-cannot"      // the FTP server does not know the command
	CodeTruncated         Code = "truncated"          // a file ended before its end
	CodeIsFolder          Code = "is-folder"          // folders are not fetched or sent as a whole
	CodeFileChanged       Code = "file-changed"       // what the server has is not what was sent, or what was begun
	CodeOtherFile         Code = "other-file"         // that is not the file that the transfer began with
	CodeBadName           Code = "bad-name"           // no file can be called that
	CodeNoSuchTransfer    Code = "no-such-transfer"   // it is over and cleared
	CodeTooLate           Code = "too-late"           // a deletion that has begun cannot be taken back
	CodeCanceled          Code = "canceled"           // the caller went away
	CodeInternal          Code = "internal"           // a fault of ours
)

// Problem is an error as the page needs it: what kind (the page has the words), the particulars for the sentence, and
// the technical words for the fold beneath. It is an error, and it crosses from engine to page as itself.
type Problem struct {
	Code      Code   `json:"code"`
	Detail    string `json:"detail,omitempty"`    // the server's own words, a host, an address: for the sentence
	Technical string `json:"technical,omitempty"` // for the person who will mend it

	Means       string       `json:"means,omitempty"`       // what the server's status code says, in a sentence (RFC 3463, RFC 2449)
	Certificate *Certificate `json:"certificate,omitempty"` // of CodeCertificate
	Session     uint64       `json:"session,omitempty"`     // the WireSession in which it happened; 0: none
	Line        uint64       `json:"line,omitempty"`        // the Seq of the WireLine that it is about; 0: not known
}

func (p *Problem) Error() string {
	s := string(p.Code)
	if p.Detail != "" {
		s += ": " + p.Detail
	}
	if p.Technical != "" {
		s += " (" + p.Technical + ")"
	}
	return s
}

// ConnectionState is the state of the one WebSocket to the gateway.
type ConnectionState string

const (
	Online     ConnectionState = "online"
	Connecting ConnectionState = "connecting"
	Offline    ConnectionState = "offline"
)

// Gateway is what the engine knows of the gateway.
type Gateway struct {
	State   ConnectionState `json:"state"`
	RetryAt time.Time       `json:"retryAt,omitzero"` // while offline: when the next attempt is made
	Problem *Problem        `json:"problem,omitempty"`
	Domains []string        `json:"domains,omitempty"` // of the embedded mail servers; empty when there are none
	Demo    []DemoAccount   `json:"demo,omitempty"`    // in demo mode: accounts that anybody may use
}

// DemoAccount is an account of the demo world, password included.
type DemoAccount struct {
	Name     string `json:"name"` // "Alice"
	Email    string `json:"email"`
	Password string `json:"password"`
}

// SyncState is what an account's fetching of new mail is doing.
type SyncState string

const (
	SyncIdle  SyncState = "idle"
	Syncing   SyncState = "syncing"
	SyncError SyncState = "error"

	SyncRemoving SyncState = "removing" // from the server, what is not to be left there
)

// Sync is the progress of an account's fetching. Done and Total count messages and are 0 when not known.
type Sync struct {
	State   SyncState `json:"state"`
	Done    int       `json:"done,omitempty"`
	Total   int       `json:"total,omitempty"`
	Last    time.Time `json:"last,omitzero"` // when the last complete fetch ended
	Problem *Problem  `json:"problem,omitempty"`
	// OnServer is how many of the messages here the server had too when it was last looked at, less those that it confirmed to
	// have removed; nil while that is not known.
	OnServer *int `json:"onServer,omitempty"`
}

// Account is one mail account of this browser.
type Account struct {
	ID          AccountID `json:"id"`
	Email       string    `json:"email"`
	Name        string    `json:"name,omitempty"`
	HasPassword bool      `json:"hasPassword"`     // false after a restart when the password was not kept: mail is readable, fetching waits
	Kept        bool      `json:"kept,omitempty"`  // the password is kept on this device
	Sealed      bool      `json:"sealed"`          // TLS ends in this browser, for both servers: the gateway sees ciphertext alone
	Admin       bool      `json:"admin,omitempty"` // it looks after its mail server: see Queue
	Files       bool      `json:"files,omitempty"` // its mail server has an FTP server beside it that is no Site yet: AddSite.Account makes it one
	// LargestMail is how large a mail its server takes, as a whole, in octets (RFC 1870), as it last said or showed by a refusal; 0: not
	// known, or no limit. See MailSize.
	LargestMail int64      `json:"largestMail,omitempty"`
	Label       string     `json:"label,omitempty"`
	Servers     Servers    `json:"servers"`
	Identities  []Identity `json:"identities"` // at least one
	Folders     []Folder   `json:"folders"`
	Sync        Sync       `json:"sync"`
}

// Folder is one folder with its counts. Revision grows with every change of what List would answer.
type Folder struct {
	ID       FolderID `json:"id"`
	Total    int      `json:"total"`
	Unread   int      `json:"unread"`
	Revision uint64   `json:"revision"`
}

// Status is everything a page needs to paint its first frame but the rows themselves.
type Status struct {
	Version  string     `json:"version"`
	Gateway  Gateway    `json:"gateway"`
	Accounts []Account  `json:"accounts"` // in the order of sign-in; empty: show the sign-in form
	Vault    VaultState `json:"vault,omitempty"`

	Sites     []Site     `json:"sites,omitempty"`     // in the order in which they were added
	Transfers []Transfer `json:"transfers,omitempty"` // in that order too
}

// SignIn adds an account, or gives an existing one its password. It answers after the server accepted the password.
type SignIn struct {
	Email    string `json:"email"`
	Password string `json:"password"`       // empty: the one that the account has already; no server is asked, and Keep alone changes
	Keep     bool   `json:"keep"`           // keep the password on this device, encrypted
	Name     string `json:"name,omitempty"` // of the person, for a new account's first identity
	// Servers are where to sign in. Without them: the account's own if it is there already, else the gateway's own server
	// if it is home to the domain, else CodeSettingsNeeded (ask Discover).
	Servers *Servers `json:"servers,omitempty"`
}

// MailSize is how large a mail becomes by so many octets of attachments and of text: base64 makes lines of 78 octets of each 57.
func MailSize(attached, text int64) int64 { return (attached+56)/57*78 + text + 4096 }

// SignOut forgets the password; with Erase the mail kept here too.
type SignOut struct {
	Account AccountID `json:"account"`
	Erase   bool      `json:"erase"`
}

// ListQuery asks for a window of a folder, newest first. Query filters by words (all must occur, case-folded) in
// sender, recipients, subject and text; an empty Query lists all. An empty Account asks for that folder of all accounts
// together (the unified inbox).
type ListQuery struct {
	Account AccountID `json:"account"`
	Folder  FolderID  `json:"folder"`
	Query   string    `json:"query,omitempty"`
	Offset  int       `json:"offset"`
	Limit   int       `json:"limit"` // at most MaxListLimit
}

// MaxListLimit bounds one window.
const MaxListLimit = 500

// ListPage answers a ListQuery. Total and Unread count the whole (filtered) folder.
type ListPage struct {
	Total    int    `json:"total"`
	Unread   int    `json:"unread"`
	Revision uint64 `json:"revision"`
	Offset   int    `json:"offset"`
	Rows     []Row  `json:"rows"`
}

// Row is a message as a list shows it.
type Row struct {
	Account     AccountID   `json:"account"`
	ID          MessageID   `json:"id"`
	Folder      FolderID    `json:"folder"`
	From        Address     `json:"from"`
	To          []Address   `json:"to,omitempty"`
	Subject     string      `json:"subject"`
	Snippet     string      `json:"snippet,omitempty"`
	Date        time.Time   `json:"date"`
	Size        int64       `json:"size"` // octets of the message on the wire
	Unread      bool        `json:"unread,omitempty"`
	Flagged     bool        `json:"flagged,omitempty"`
	Answered    bool        `json:"answered,omitempty"`
	Attachments int         `json:"attachments,omitempty"`
	State       OutboxState `json:"state,omitempty"`    // in Drafts and Outbox (and "sent" in Sent)
	Progress    float64     `json:"progress,omitempty"` // 0..1 while sending
	RetryAt     time.Time   `json:"retryAt,omitzero"`   // while deferred
	Problem     *Problem    `json:"problem,omitempty"`  // why deferred, failed or unknown
	Partial     bool        `json:"partial,omitempty"`  // only the beginning is here (Settings.SizeCap); Size is of the whole. See FetchRest
	Session     uint64      `json:"session,omitempty"`  // of an outgoing message: the WireSession of its last attempt
}

// MessageRef names one message.
type MessageRef struct {
	Account AccountID `json:"account"`
	ID      MessageID `json:"id"`
}

// Message is a message opened for reading.
type Message struct {
	Row
	Cc         []Address   `json:"cc,omitempty"`
	Bcc        []Address   `json:"bcc,omitempty"`
	ReplyTo    []Address   `json:"replyTo,omitempty"`
	MessageID  string      `json:"messageID,omitempty"` // with its angle brackets
	References []string    `json:"references,omitempty"`
	Text       string      `json:"text,omitempty"`   // the plain text; of a message that is HTML alone, the words of it
	HTML       string      `json:"html,omitempty"`   // safe HTML (client/sanitize), if it has any: the one HTML a frame may show
	Remote     int         `json:"remote,omitempty"` // how many remote images and the like were left out of HTML
	Parts      []Part      `json:"parts,omitempty"`
	Recipients []Recipient `json:"recipients,omitempty"` // of an outgoing message
	Junk       string      `json:"junk,omitempty"`       // why the mail server calls it junk, of a message in Junk
	Note       string      `json:"note,omitempty"`       // what is odd about the message; when it could not be parsed, Text is its source
}

// Part is an attachment of a message being read.
type Part struct {
	Index int    `json:"index"` // what Attachment wants
	Name  string `json:"name"`  // never empty, no path, no control characters
	Type  string `json:"type"`  // media type, "application/octet-stream" when unknown
	Size  int64  `json:"size"`  // decoded octets
}

// PartRef names one attachment of one message.
type PartRef struct {
	MessageRef
	Index int `json:"index"`
}

// Mark changes flags of messages; a nil field is left as it is.
type Mark struct {
	Account AccountID   `json:"account"`
	IDs     []MessageID `json:"ids"`
	Unread  *bool       `json:"unread,omitempty"`
	Flagged *bool       `json:"flagged,omitempty"`
}

// Move puts messages into a folder. Deleting is moving to Trash; undoing is moving back.
type Move struct {
	Account AccountID   `json:"account"`
	IDs     []MessageID `json:"ids"`
	To      FolderID    `json:"to"`
}

// Erase removes messages for good from this device (the copy on the server, if any, stays and is not fetched again).
type Erase struct {
	Account AccountID   `json:"account"`
	IDs     []MessageID `json:"ids"`
}

// Draft is a message being written. ID 0 is a new one; the saved draft comes back with its ID.
type Draft struct {
	Account     AccountID         `json:"account"`
	ID          MessageID         `json:"id,omitempty"`
	To          []Address         `json:"to,omitempty"`
	Cc          []Address         `json:"cc,omitempty"`
	Bcc         []Address         `json:"bcc,omitempty"`
	Subject     string            `json:"subject"`
	Text        string            `json:"text"`
	Attachments []DraftAttachment `json:"attachments,omitempty"`
	InReplyTo   string            `json:"inReplyTo,omitempty"`  // Message-ID of the message answered
	References  []string          `json:"references,omitempty"` // of the message answered, its own Message-ID last
	Identity    string            `json:"identity,omitempty"`   // the address of the identity that it is from; empty: the account's first
	Receipt     bool              `json:"receipt,omitempty"`    // ask the servers on the way to tell of delivery (RFC 3461)
	Answers     MessageID         `json:"answers,omitempty"`    // the message answered, in this account: it is marked answered when the answer is sent
}

// DraftAttachment is a file of a draft. Its bytes were given to the engine before, by Upload or by taking them from
// another message (forward).
type DraftAttachment struct {
	Blob BlobID `json:"blob"`
	Name string `json:"name"`
	Type string `json:"type"`
	Size int64  `json:"size"`
}

// BlobID names bytes that the engine holds for a draft. The same bytes have the same name.
type BlobID string

// Upload gives the engine the bytes of an attachment.
type Upload struct {
	Account AccountID `json:"account"`
	Name    string    `json:"name"`
	Type    string    `json:"type"`
}

// Event is what the engine tells every page without being asked. Exactly one field is set.
type Event struct {
	Gateway *Gateway     `json:"gateway,omitempty"`
	Account *Account     `json:"account,omitempty"` // added or changed (folders and sync included)
	Removed AccountID    `json:"removed,omitempty"` // an account is gone
	NewMail *NewMail     `json:"newMail,omitempty"`
	Outbox  *OutboxEvent `json:"outbox,omitempty"`
	Vault   *VaultState  `json:"vault,omitempty"`

	Site         *Site         `json:"site,omitempty"`         // added or changed
	SiteGone     AccountID     `json:"siteGone,omitempty"`     // its transfers are, too, without an event of their own
	Transfer     *Transfer     `json:"transfer,omitempty"`     // added or changed; of one that runs at most twice a second
	TransferGone TransferID    `json:"transferGone,omitempty"` // cleared, or a deletion that is done or was taken back
	Files        *FilesChanged `json:"files,omitempty"`
}

// NewMail says that messages arrived in the inbox: for the live region and the notification.
type NewMail struct {
	Account AccountID `json:"account"`
	Count   int       `json:"count"`
	First   Row       `json:"first"` // the newest of them
}

// OutboxEvent says that a message on its way changed its state (or its progress).
type OutboxEvent struct {
	Account AccountID `json:"account"`
	Row     Row       `json:"row"`
}
