package api

import (
	"context"
	"errors"
	"fmt"
	"sync"

	json "github.com/postern-mail/postern/client/internal/wirejson"
)

// Client is the Service as the page sees it: each method is one call over a Conn. Run must be running for calls to be
// answered. Every error is a *Problem; when the Conn is closed, ErrClosed.
type Client struct {
	conn    Conn
	onEvent func(Event)
	done    chan struct{}

	sending sync.Mutex // a Conn has one writer at a time

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan Frame
	closed  bool
}

var _ Service = (*Client)(nil)

// NewClient makes a client over conn. onEvent, which may be nil, gets every event in order from Run's goroutine; it
// must not itself wait for a call.
func NewClient(conn Conn, onEvent func(Event)) *Client {
	return &Client{conn: conn, onEvent: onEvent, done: make(chan struct{}), waiting: make(map[uint64]chan Frame)}
}

// Run receives answers and events until ctx ends or the Conn is closed, then closes the client. It answers why it
// ended: ctx's error or ErrClosed.
func (c *Client) Run(ctx context.Context) error {
	defer c.Close()
	for {
		f, err := c.conn.Receive(ctx)
		if err != nil {
			return err
		}
		switch f.Kind {
		case KindReply, KindFailure:
			c.mu.Lock()
			answer := c.waiting[f.ID]
			delete(c.waiting, f.ID)
			c.mu.Unlock()
			if answer != nil { // else its caller went away
				answer <- f
			}
		case KindEvent:
			var e Event
			if json.Unmarshal(f.Body, &e) == nil && c.onEvent != nil {
				c.onEvent(e)
			}
		}
	}
}

// Done is closed when the client is.
func (c *Client) Done() <-chan struct{} { return c.done }

// Close closes the Conn and fails every call under way with ErrClosed. It may be called more than once.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	close(c.done)
	return c.conn.Close()
}

// call makes one call. in and out are a request and a pointer to an answer, as JSON knows them; nil is none.
func (c *Client) call(ctx context.Context, method string, in any, blob []byte, out any) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, AsProblem(err)
	}
	f := Frame{Kind: KindCall, Method: method, Blob: blob}
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return nil, &Problem{Code: CodeBadRequest, Technical: err.Error()}
		}
		f.Body = body
	}
	answer := make(chan Frame, 1)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	c.last++
	f.ID = c.last
	c.waiting[f.ID] = answer
	c.mu.Unlock()
	if err := c.send(f); err != nil {
		c.forget(f.ID)
		if errors.Is(err, ErrClosed) {
			return nil, ErrClosed
		}
		return nil, AsProblem(err)
	}
	select {
	case f := <-answer:
		return finish(method, f, out)
	case <-ctx.Done():
		if c.forget(f.ID) {
			_ = c.send(Frame{ID: f.ID, Kind: KindCancel}) // if it cannot be sent, there is nothing to cancel
		}
		return nil, AsProblem(ctx.Err())
	case <-c.done:
		select { // an answer that came before the end still counts
		case f := <-answer:
			return finish(method, f, out)
		default:
		}
		c.forget(f.ID)
		return nil, ErrClosed
	}
}

func (c *Client) send(f Frame) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	return c.conn.Send(f)
}

// forget gives up waiting for an answer; it says whether there was still one to wait for.
func (c *Client) forget(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, waited := c.waiting[id]
	delete(c.waiting, id)
	return waited
}

func finish(method string, f Frame, out any) ([]byte, error) {
	if f.Kind == KindFailure {
		p := new(Problem)
		if err := json.Unmarshal(f.Body, p); err != nil || p.Code == "" {
			p = &Problem{Code: CodeInternal, Technical: fmt.Sprintf("%s: a failure that cannot be read", method)}
		}
		return nil, p
	}
	if out != nil {
		if err := json.Unmarshal(f.Body, out); err != nil {
			return nil, &Problem{Code: CodeInternal, Technical: method + ": " + err.Error()}
		}
	}
	return f.Blob, nil
}

func (c *Client) Status(ctx context.Context) (s Status, err error) {
	_, err = c.call(ctx, "Status", nil, nil, &s)
	return s, err
}

func (c *Client) SignIn(ctx context.Context, r SignIn) (a Account, err error) {
	_, err = c.call(ctx, "SignIn", r, nil, &a)
	return a, err
}

func (c *Client) SignOut(ctx context.Context, r SignOut) error {
	_, err := c.call(ctx, "SignOut", r, nil, nil)
	return err
}

func (c *Client) Discover(ctx context.Context, email string) (d Discovery, err error) {
	_, err = c.call(ctx, "Discover", email, nil, &d)
	return d, err
}

func (c *Client) Settings(ctx context.Context, account AccountID) (s Settings, err error) {
	_, err = c.call(ctx, "Settings", account, nil, &s)
	return s, err
}

func (c *Client) Configure(ctx context.Context, s Settings) (saved Settings, err error) {
	_, err = c.call(ctx, "Configure", s, nil, &saved)
	return saved, err
}

func (c *Client) Trust(ctx context.Context, r Trust) error {
	_, err := c.call(ctx, "Trust", r, nil, nil)
	return err
}

func (c *Client) Unlock(ctx context.Context, passphrase string) error {
	_, err := c.call(ctx, "Unlock", passphrase, nil, nil)
	return err
}

func (c *Client) SetPassphrase(ctx context.Context, r Passphrase) error {
	_, err := c.call(ctx, "SetPassphrase", r, nil, nil)
	return err
}

func (c *Client) Queue(ctx context.Context, q QueueQuery) (p QueuePage, err error) {
	_, err = c.call(ctx, "Queue", q, nil, &p)
	return p, err
}

func (c *Client) QueueItem(ctx context.Context, r QueueRef) (i QueueItem, err error) {
	_, err = c.call(ctx, "QueueItem", r, nil, &i)
	return i, err
}

func (c *Client) ChangeQueue(ctx context.Context, r QueueChange) (n int, err error) {
	_, err = c.call(ctx, "ChangeQueue", r, nil, &n)
	return n, err
}

func (c *Client) WatchQueue(ctx context.Context, r QueueWatch) (revision uint64, err error) {
	_, err = c.call(ctx, "WatchQueue", r, nil, &revision)
	return revision, err
}

func (c *Client) World(ctx context.Context, r WorldChange) (w World, err error) {
	_, err = c.call(ctx, "World", r, nil, &w)
	return w, err
}

func (c *Client) Wire(ctx context.Context, q WireQuery) (p WirePage, err error) {
	_, err = c.call(ctx, "Wire", q, nil, &p)
	return p, err
}

func (c *Client) FetchRest(ctx context.Context, r MessageRef) error {
	_, err := c.call(ctx, "FetchRest", r, nil, nil)
	return err
}

func (c *Client) List(ctx context.Context, r ListQuery) (p ListPage, err error) {
	_, err = c.call(ctx, "List", r, nil, &p)
	return p, err
}

func (c *Client) Message(ctx context.Context, r MessageRef) (m Message, err error) {
	_, err = c.call(ctx, "Message", r, nil, &m)
	return m, err
}

func (c *Client) Source(ctx context.Context, r MessageRef) ([]byte, error) {
	return c.call(ctx, "Source", r, nil, nil)
}

func (c *Client) Attachment(ctx context.Context, r PartRef) (p Part, data []byte, err error) {
	data, err = c.call(ctx, "Attachment", r, nil, &p)
	return p, data, err
}

func (c *Client) Mark(ctx context.Context, r Mark) error {
	_, err := c.call(ctx, "Mark", r, nil, nil)
	return err
}

func (c *Client) Move(ctx context.Context, r Move) error {
	_, err := c.call(ctx, "Move", r, nil, nil)
	return err
}

func (c *Client) Erase(ctx context.Context, r Erase) error {
	_, err := c.call(ctx, "Erase", r, nil, nil)
	return err
}

func (c *Client) Upload(ctx context.Context, r Upload, data []byte) (a DraftAttachment, err error) {
	_, err = c.call(ctx, "Upload", r, data, &a)
	return a, err
}

func (c *Client) Forwardable(ctx context.Context, r MessageRef) (as []DraftAttachment, err error) {
	_, err = c.call(ctx, "Forwardable", r, nil, &as)
	return as, err
}

func (c *Client) OpenDraft(ctx context.Context, r MessageRef) (d Draft, err error) {
	_, err = c.call(ctx, "OpenDraft", r, nil, &d)
	return d, err
}

func (c *Client) SaveDraft(ctx context.Context, d Draft) (saved Draft, err error) {
	_, err = c.call(ctx, "SaveDraft", d, nil, &saved)
	return saved, err
}

func (c *Client) Send(ctx context.Context, d Draft) (id MessageID, err error) {
	_, err = c.call(ctx, "Send", d, nil, &id)
	return id, err
}

func (c *Client) Retry(ctx context.Context, r MessageRef) error {
	_, err := c.call(ctx, "Retry", r, nil, nil)
	return err
}

func (c *Client) Unsend(ctx context.Context, r MessageRef) error {
	_, err := c.call(ctx, "Unsend", r, nil, nil)
	return err
}

func (c *Client) AddSite(ctx context.Context, r AddSite) (s Site, err error) {
	_, err = c.call(ctx, "AddSite", r, nil, &s)
	return s, err
}

func (c *Client) RemoveSite(ctx context.Context, site AccountID) error {
	_, err := c.call(ctx, "RemoveSite", site, nil, nil)
	return err
}

func (c *Client) ListFiles(ctx context.Context, q FilesQuery) (p FilesPage, err error) {
	_, err = c.call(ctx, "ListFiles", q, nil, &p)
	return p, err
}

func (c *Client) MakeFolder(ctx context.Context, r MakeFolder) (f File, err error) {
	_, err = c.call(ctx, "MakeFolder", r, nil, &f)
	return f, err
}

func (c *Client) RenameFile(ctx context.Context, r RenameFile) (f File, err error) {
	_, err = c.call(ctx, "RenameFile", r, nil, &f)
	return f, err
}

func (c *Client) DeleteFiles(ctx context.Context, r DeleteFiles) (t Transfer, err error) {
	_, err = c.call(ctx, "DeleteFiles", r, nil, &t)
	return t, err
}

func (c *Client) UndoDelete(ctx context.Context, id TransferID) error {
	_, err := c.call(ctx, "UndoDelete", id, nil, nil)
	return err
}

func (c *Client) DownloadFile(ctx context.Context, r FileRef) (t Transfer, err error) {
	_, err = c.call(ctx, "DownloadFile", r, nil, &t)
	return t, err
}

func (c *Client) UploadFile(ctx context.Context, r UploadFile, data []byte) (t Transfer, err error) {
	_, err = c.call(ctx, "UploadFile", r, data, &t)
	return t, err
}

func (c *Client) PutChunk(ctx context.Context, r PutChunk, data []byte) (w Wanted, err error) {
	_, err = c.call(ctx, "PutChunk", r, data, &w)
	return w, err
}

func (c *Client) SavePart(ctx context.Context, r SavePart) (t Transfer, err error) {
	_, err = c.call(ctx, "SavePart", r, nil, &t)
	return t, err
}

func (c *Client) AttachFile(ctx context.Context, r AttachFile) (a DraftAttachment, err error) {
	_, err = c.call(ctx, "AttachFile", r, nil, &a)
	return a, err
}

func (c *Client) PauseTransfer(ctx context.Context, id TransferID) error {
	_, err := c.call(ctx, "PauseTransfer", id, nil, nil)
	return err
}

func (c *Client) ResumeTransfer(ctx context.Context, r ResumeTransfer) (t Transfer, err error) {
	_, err = c.call(ctx, "ResumeTransfer", r, nil, &t)
	return t, err
}

func (c *Client) CancelTransfer(ctx context.Context, id TransferID) error {
	_, err := c.call(ctx, "CancelTransfer", id, nil, nil)
	return err
}

func (c *Client) ClearTransfers(ctx context.Context, ids []TransferID) error {
	_, err := c.call(ctx, "ClearTransfers", ids, nil, nil)
	return err
}

func (c *Client) ReadDownload(ctx context.Context, r ReadDownload) ([]byte, error) {
	return c.call(ctx, "ReadDownload", r, nil, nil)
}

func (c *Client) TakenOver(ctx context.Context, id TransferID) error {
	_, err := c.call(ctx, "TakenOver", id, nil, nil)
	return err
}

func (c *Client) SyncNow(ctx context.Context, account AccountID) error {
	_, err := c.call(ctx, "SyncNow", account, nil, nil)
	return err
}

func (c *Client) Prepare(ctx context.Context) error {
	_, err := c.call(ctx, "Prepare", nil, nil, nil)
	return err
}

func (c *Client) Admit(ctx context.Context, token string) error {
	_, err := c.call(ctx, "Admit", token, nil, nil)
	return err
}

func (c *Client) Reconnect(ctx context.Context) error {
	_, err := c.call(ctx, "Reconnect", nil, nil, nil)
	return err
}
