package api

import "time"

// The files of FTP servers: sites, what is in their folders, and what is on its way from and to them.

// FTP is the protocol of sites.
const FTP Protocol = "ftp"

// Site is an FTP account of this browser. It stands beside the mail accounts and is independent of them. Its ID begins with
// "ftp:", which no mail account's does, and is used as theirs are: for Wire, and with Protocol FTP for Trust.
type Site struct {
	ID    AccountID `json:"id"`
	Label string    `json:"label,omitempty"` // what it is called here; empty: the user, "@" and the host
	// Server is where it is. TLS is FTP inside TLS (port 990), STARTTLS is AUTH TLS (RFC 4217), Plain is neither. An empty Host
	// is the gateway's own server, and then only User is set: the mail address. Auth is empty.
	Server      Server `json:"server"`
	HasPassword bool   `json:"hasPassword"`
	Kept        bool   `json:"kept,omitempty"`
	Sealed      bool   `json:"sealed"` // TLS ends in this browser; if not, everybody on the way can read the password and the files
	// Home is the folder in which one is after the login; empty while that is not known.
	Home    FilePath `json:"home,omitempty"`
	Problem *Problem `json:"problem,omitempty"` // of the last attempt to reach it; nil once one succeeded
}

// FilePath is a path on a server. The server's octets need not be UTF-8, and JSON's strings must: what is not UTF-8, control
// characters and "%" are written as "%" and two digits in upper-case hex. A page takes paths from what it was answered and gives
// them back; what it shows are the names beside them. Equal paths are equal strings. The empty one stands for Site.Home.
//
// A page never puts one together: where it has a name of its own, such as that of a new folder, it gives folder and name.
type FilePath string

// AddSite adds a site, or changes one. It answers when the server has accepted the password and said where Home is.
type AddSite struct {
	// Site is the one to change; empty: a new one.
	Site AccountID `json:"site,omitempty"`
	// Account, for a new one, is a mail account with Files: its server's files, by its name and its password. The rest but Label is
	// left empty then.
	Account  AccountID `json:"account,omitempty"`
	Label    string    `json:"label,omitempty"`
	Server   Server    `json:"server"`
	Password string    `json:"password"` // empty: the one it has, if neither host nor user changes
	Keep     bool      `json:"keep"`     // keep the password on this device, encrypted
}

// FileSort is what a folder is sorted by. Folders come first in each.
type FileSort string

const (
	SortName FileSort = ""
	SortSize FileSort = "size"
	SortDate FileSort = "date"
)

// FilesQuery asks for a window of a folder. The folder is listed when it has not been in the last minute, or when Fresh says so;
// windows of one listing cost the server nothing.
type FilesQuery struct {
	Site       AccountID `json:"site"`
	Path       FilePath  `json:"path,omitempty"` // empty: Site.Home
	Sort       FileSort  `json:"sort,omitempty"`
	Descending bool      `json:"descending,omitempty"`
	Filter     string    `json:"filter,omitempty"` // occurs in the name, whatever its case
	Fresh      bool      `json:"fresh,omitempty"`
	Offset     int       `json:"offset"`
	Limit      int       `json:"limit"` // at most MaxFilesLimit; 0: as many as that
}

// MaxFilesLimit bounds one FilesPage.
const MaxFilesLimit = 500

// MaxFolder is how many entries of a folder are kept.
const MaxFolder = 200_000

// FilesPage answers a FilesQuery.
type FilesPage struct {
	Path     FilePath  `json:"path"` // never empty
	Crumbs   []Crumb   `json:"crumbs"`
	Total    int       `json:"total"` // of what Filter lets through
	Offset   int       `json:"offset"`
	Files    []File    `json:"files,omitempty"`
	Cut      bool      `json:"cut,omitempty"` // there are more than MaxFolder: these are the first of them that the server named
	Revision uint64    `json:"revision"`      // grows with every change of what is answered: see FilesChanged
	Listed   time.Time `json:"listed"`        // when the server was asked
	Problem  *Problem  `json:"problem,omitempty"`
	// Problem, if set, is why the listing ended early: there may be more files than these.
}

// Crumb is one folder on the way to another, the outermost first.
type Crumb struct {
	Path FilePath `json:"path"`
	Name string   `json:"name"` // fit to be shown; "/" for the root
}

// FileKind is what an entry of a folder is.
type FileKind string

const (
	KindFile    FileKind = "file"
	KindFolder  FileKind = "folder"
	KindLink    FileKind = "link"    // to a file or a folder: which of them shows when it is opened
	KindOther   FileKind = "other"   // a device, a socket
	KindUnknown FileKind = "unknown" // a line of the server's that cannot be read: Name is the line
)

// File is an entry of a folder.
type File struct {
	Path     FilePath  `json:"path,omitempty"` // empty if it is not Usable
	Name     string    `json:"name"`           // fit to be shown: no control characters
	Kind     FileKind  `json:"kind"`
	Size     int64     `json:"size"`               // octets; -1: not known
	Modified time.Time `json:"modified,omitzero"`  // in UTC
	Exact    bool      `json:"exact,omitempty"`    // Modified is so to the second; else to the minute or the day
	Target   string    `json:"target,omitempty"`   // of a link, fit to be shown
	Usable   bool      `json:"usable,omitempty"`   // something can be done with it; a name that leads elsewhere is only shown
	Transfer uint64    `json:"transfer,omitempty"` // a Transfer that has to do with it and is not over; 0: none
}

// FileRef names a file or folder of a site.
type FileRef struct {
	Site AccountID `json:"site"`
	Path FilePath  `json:"path"`
}

// MakeFolder makes a folder in another. It is answered with the new one.
type MakeFolder struct {
	Site   AccountID `json:"site"`
	Folder FilePath  `json:"folder,omitempty"`
	Name   string    `json:"name"` // one name, no path: CodeBadName
}

// RenameFile gives a file or a folder another name, or another folder. CodeFileExists if there is one of that name, which is
// looked for first: servers replace it without a word.
type RenameFile struct {
	Site   AccountID `json:"site"`
	Path   FilePath  `json:"path"`
	Folder FilePath  `json:"folder,omitempty"` // empty: the one that it is in
	Name   string    `json:"name,omitempty"`   // empty: the one that it has
}

// DeleteFiles removes files, and folders with all that is in them. They go from what ListFiles answers at once. The server is told
// after UndoTime, in which UndoDelete takes it back; an engine that ends before has deleted nothing.
type DeleteFiles struct {
	Site  AccountID  `json:"site"`
	Paths []FilePath `json:"paths"` // at most MaxDelete
}

const (
	// UndoTime is how long a deletion can be taken back.
	UndoTime = 8 * time.Second
	// MaxDelete bounds the paths of DeleteFiles, and so what a page has selected.
	MaxDelete = 5000
)

// Exists says what becomes of a file that has the name of one that is sent.
type Exists string

const (
	ExistsAsk     Exists = ""        // nothing is sent: CodeFileExists, its Detail is the name
	ExistsReplace Exists = "replace" // the old one, once the new one is whole
	ExistsBoth    Exists = "both"    // the new one is called "name (2).txt"
)

// LocalFile is a file of this device, by what a page can say of it.
type LocalFile struct {
	Name     string    `json:"name"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"` // to the millisecond
}

// UploadFile puts a file into a folder of a site. The page keeps the file and hands it over by PutChunk as it is wanted; one of at
// most MaxSmall octets it may send along, in the blob, and the engine says by Transfer.Fed whether it has kept that.
type UploadFile struct {
	Site   AccountID `json:"site"`
	Folder FilePath  `json:"folder,omitempty"`
	File   LocalFile `json:"file"`
	Exists Exists    `json:"exists,omitempty"`
}

// SavePart puts an attachment of a message into a folder of a site, straight from where it is kept; or, where Attachment is set,
// that one of a draft of the account of Part: what is too large to be mailed is linked to then, by Transfer.URL.
type SavePart struct {
	Part       PartRef          `json:"part"`
	Attachment *DraftAttachment `json:"attachment,omitempty"`

	Site   AccountID `json:"site"`
	Folder FilePath  `json:"folder,omitempty"`
	Exists Exists    `json:"exists,omitempty"`
}

// AttachFile fetches a file for a draft of a mail account. It is answered when the file is here; CodeTooLarge at once if it is
// more than a draft may carry. Meanwhile it is a Transfer, Attaching, which can be paused and canceled (CodeCanceled); it is gone with the
// answer, and with a page that does not wait any more.
type AttachFile struct {
	FileRef
	Account AccountID `json:"account"`
}

// PutChunk hands over a piece of an upload's file, beside it in the blob: at most MaxChunk octets, which start at Offset. It is
// answered with which piece is wanted next, and only when that one is: the answer is the flow control. A page that holds the
// file begins, with an empty piece, when it is told that the transfer is running, and again each time that it is told so
// after an answer that was Over. A piece that is not the one wanted is dropped, and the answer says which one is.
//
//	next, piece := int64(0), []byte(nil)
//	for {
//		want, err := svc.PutChunk(ctx, PutChunk{ID: id, Offset: next}, piece)
//		if err != nil || want.Over { break }
//		next, piece = want.Offset, slice(file, want.Offset, want.Length)
//	}
//
// A page that goes away (its ctx ends, its port closes) or is silent for FeedPatience has left the transfer without its file:
// TransferNeedsFile.
type PutChunk struct {
	ID     TransferID `json:"id"`
	Offset int64      `json:"offset"`
}

// Wanted answers a PutChunk.
type Wanted struct {
	Offset int64 `json:"offset"`
	Length int   `json:"length"`         // never more than there is in the file, nor than MaxChunk
	Over   bool  `json:"over,omitempty"` // nothing is wanted: the transfer does not run, or not any more
}

const (
	// MaxSmall bounds a file that is sent along with UploadFile. Of such ones, one goes up in the time that asking for it would take.
	MaxSmall = 64 << 10
	// MaxChunk bounds a piece of a file between page and engine.
	MaxChunk = 1 << 20
	// FeedPatience is how long a page may take for the next piece.
	FeedPatience = 20 * time.Second
)

// TransferID numbers a transfer. Numbers grow, over restarts too, and fit a JavaScript number.
type TransferID uint64

// Direction says what a transfer does.
type Direction string

const (
	Downloading Direction = "down"
	Uploading   Direction = "up"
	Deleting    Direction = "delete"
	Attaching   Direction = "attach" // to a draft: AttachFile
)

// TransferState says where a transfer is.
type TransferState string

const (
	TransferWaiting   TransferState = "waiting"    // for its turn, for the gateway, for RetryAt; a deletion for Until
	TransferRunning   TransferState = "running"    //
	TransferPaused    TransferState = "paused"     // by the user
	TransferNeedsFile TransferState = "needs-file" // nobody hands over its file: ResumeTransfer with the same one
	TransferFailed    TransferState = "failed"     // Problem says why; ResumeTransfer tries again, from where it is
	TransferDone      TransferState = "done"       // whole, and verified as far as the server lets one
)

// Transfer is something on its way from or to a site, or a deletion. At most two of a site run at a time. A cut leaves one waiting,
// and it goes on by itself from what is safe. Transfers are kept over restarts; deletions, and files for a draft, are not.
type Transfer struct {
	ID        TransferID    `json:"id"`
	Site      AccountID     `json:"site"`
	Direction Direction     `json:"direction"`
	Name      string        `json:"name"` // fit to be shown; of a deletion of several, the first one's
	Path      FilePath      `json:"path"` // on the server; of an upload, what it will be called
	Folder    FilePath      `json:"folder"`
	Size      int64         `json:"size"`           // octets, -1: not known; of a deletion files and folders, which grows while they are found
	Done      int64         `json:"done"`           // of Size
	Rate      int64         `json:"rate,omitempty"` // octets a second, lately
	State     TransferState `json:"state"`
	Problem   *Problem      `json:"problem,omitempty"` // why failed; of one that is waiting, why it could not go on
	RetryAt   time.Time     `json:"retryAt,omitzero"`  // while waiting for that
	Until     time.Time     `json:"until,omitzero"`    // of a deletion that is waiting: UndoDelete takes it back until then
	Anew      bool          `json:"anew,omitempty"`    // it began again from the start: the file there, or what there was of it, was not what it had been
	Count     int           `json:"count,omitempty"`   // of a deletion: the paths that it was given
	Session   uint64        `json:"session,omitempty"` // its last WireSession
	Added     time.Time     `json:"added"`
	File      *LocalFile    `json:"file,omitempty"`   // of an upload from a page: the file
	Fed       bool          `json:"fed,omitempty"`    // and the engine has all of it: no PutChunk
	Device    string        `json:"device,omitempty"` // of a download that is done: where the file is in the browser's private file system, "postern/files/7"; empty: ReadDownload
	Saved     bool          `json:"saved,omitempty"`  // of a download: see TakenOver
	URL       string        `json:"url,omitempty"`    // of an upload that is done: an address for people, without a password: ftp://host/path
}

// ResumeTransfer has a transfer go on: one that is paused or failed, and one that needs its file with it. File is what a page
// holds or a person has chosen for an upload; one that is not the same by name, size and time is CodeOtherFile.
type ResumeTransfer struct {
	ID   TransferID `json:"id"`
	File *LocalFile `json:"file,omitempty"`
}

// ReadDownload asks for octets of a download that is done, from Offset on: at most MaxChunk, fewer only at the end. It is for a
// page that cannot read Transfer.Device.
type ReadDownload struct {
	ID     TransferID `json:"id"`
	Offset int64      `json:"offset"`
}

// FilesChanged says that what ListFiles answers for a folder is another than before.
type FilesChanged struct {
	Site     AccountID `json:"site"`
	Path     FilePath  `json:"path"`
	Revision uint64    `json:"revision"`
}
