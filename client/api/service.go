package api

import "context"

// Service is what the engine can do. Every error that crosses to the page is a *Problem (others are wrapped as
// CodeInternal). Calls may run at the same time; canceling ctx ends the wait, and the work where that loses nothing.
type Service interface {
	// Status answers at once with what is known; it does no network I/O.
	Status(ctx context.Context) (Status, error)
	SignIn(ctx context.Context, r SignIn) (Account, error)
	SignOut(ctx context.Context, r SignOut) error

	// Discover finds the settings of an address: by the gateway's look-ups, the list of providers, and guesses that are
	// probed. Neither the address nor a password leaves this device for it, the domain does.
	Discover(ctx context.Context, email string) (Discovery, error)
	Settings(ctx context.Context, account AccountID) (Settings, error)
	// Configure changes an account's settings and answers them as they are then. Other servers than before are
	// signed in at first, with the password there is.
	Configure(ctx context.Context, s Settings) (Settings, error)
	Trust(ctx context.Context, r Trust) error
	// Unlock gives the passphrase under which the passwords are kept.
	Unlock(ctx context.Context, passphrase string) error
	SetPassphrase(ctx context.Context, r Passphrase) error
	// Wire answers what was said on the wire.
	Wire(ctx context.Context, q WireQuery) (WirePage, error)

	// Queue, QueueItem, ChangeQueue, WatchQueue and World are for an account that looks after its mail server: what
	// waits there, one message of it, something done to some (it answers to how many), the next change, and the demo
	// world. CodeNotAdministrator for any other.
	Queue(ctx context.Context, q QueueQuery) (QueuePage, error)
	QueueItem(ctx context.Context, r QueueRef) (QueueItem, error)
	ChangeQueue(ctx context.Context, c QueueChange) (int, error)
	WatchQueue(ctx context.Context, w QueueWatch) (uint64, error)
	World(ctx context.Context, c WorldChange) (World, error)

	List(ctx context.Context, r ListQuery) (ListPage, error)
	// Message opens a message. It does not mark it read: Mark does.
	Message(ctx context.Context, r MessageRef) (Message, error)
	// FetchRest fetches the whole of a message of which only the beginning is here, and answers when it is stored.
	FetchRest(ctx context.Context, r MessageRef) error
	// Source answers the message as it came, octet for octet.
	Source(ctx context.Context, r MessageRef) ([]byte, error)
	// Attachment answers the decoded octets of one part.
	Attachment(ctx context.Context, r PartRef) (Part, []byte, error)

	Mark(ctx context.Context, r Mark) error
	Move(ctx context.Context, r Move) error
	Erase(ctx context.Context, r Erase) error

	// Upload keeps bytes for a draft's attachment.
	Upload(ctx context.Context, r Upload, data []byte) (DraftAttachment, error)
	// Forwardable copies a message's attachments so that a draft can carry them.
	Forwardable(ctx context.Context, r MessageRef) ([]DraftAttachment, error)
	// OpenDraft answers a saved draft, or an outbox message taken back to be edited.
	OpenDraft(ctx context.Context, r MessageRef) (Draft, error)
	// SaveDraft stores a draft durably and answers it with its ID.
	SaveDraft(ctx context.Context, d Draft) (Draft, error)
	// Send stores the message durably in the outbox (state queued), removes its draft, and answers its number there,
	// whether or not the gateway can be reached. Its fate comes as OutboxEvents.
	Send(ctx context.Context, d Draft) (MessageID, error)
	// Retry sends a deferred, failed or unknown message (the user said so) again.
	Retry(ctx context.Context, r MessageRef) error
	// Unsend takes a message that is not being sent out of the outbox, back into Drafts.
	Unsend(ctx context.Context, r MessageRef) error

	// AddSite adds an FTP account, or changes one, when the server has accepted it. RemoveSite forgets it with its password, its
	// transfers and what they have on this device.
	AddSite(ctx context.Context, r AddSite) (Site, error)
	RemoveSite(ctx context.Context, site AccountID) error
	ListFiles(ctx context.Context, q FilesQuery) (FilesPage, error)
	MakeFolder(ctx context.Context, r MakeFolder) (File, error)
	RenameFile(ctx context.Context, r RenameFile) (File, error)
	// DeleteFiles answers the deletion, which waits; UndoDelete takes it back while it does, else CodeTooLate.
	DeleteFiles(ctx context.Context, r DeleteFiles) (Transfer, error)
	UndoDelete(ctx context.Context, id TransferID) error

	// DownloadFile begins to fetch a file to this device; UploadFile and SavePart to send one. They answer the transfer as it
	// begins, and its fate comes as events.
	DownloadFile(ctx context.Context, r FileRef) (Transfer, error)
	UploadFile(ctx context.Context, r UploadFile, data []byte) (Transfer, error)
	PutChunk(ctx context.Context, r PutChunk, data []byte) (Wanted, error)
	SavePart(ctx context.Context, r SavePart) (Transfer, error)
	AttachFile(ctx context.Context, r AttachFile) (DraftAttachment, error)
	// PauseTransfer has one stand still, with what it has; CancelTransfer ends it, and what there is of the file is removed,
	// here and there. Of one that is over it does nothing.
	PauseTransfer(ctx context.Context, id TransferID) error
	ResumeTransfer(ctx context.Context, r ResumeTransfer) (Transfer, error)
	CancelTransfer(ctx context.Context, id TransferID) error
	// ClearTransfers forgets transfers that are done or failed: those of ids, or without any all that are done,
	// and where there are none all that have failed. Downloads go from this device.
	ClearTransfers(ctx context.Context, ids []TransferID) error
	// ReadDownload answers octets of a download that is done. TakenOver says that the browser has got it, or is about to read
	// it: the transfer is cleared after ten minutes, and at the next start.
	ReadDownload(ctx context.Context, r ReadDownload) ([]byte, error)
	TakenOver(ctx context.Context, id TransferID) error

	// SyncNow starts fetching new mail, or does nothing if that goes on already; the outcome comes as events.
	// An empty account means all.
	SyncNow(ctx context.Context, account AccountID) error
	// Prepare says that somebody is about to sign in. It answers at once.
	Prepare(ctx context.Context) error
	// Admit gives the access token that the gateway asks for, and keeps it on this device if it is the right one.
	Admit(ctx context.Context, token string) error
	// Reconnect tries the gateway now instead of at RetryAt.
	Reconnect(ctx context.Context) error
}
