package viewtest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// files are file servers in memory, and what is on its way from and to them. Nothing moves by itself: Progress moves it.
type files struct {
	folders  map[api.FileRef][]api.File
	revision uint64
	last     api.TransferID
	fed      map[api.TransferID][]byte
	small    bool                             // what is sent along is taken
	wanted   map[api.TransferID]chan struct{} // closed when a piece is wanted, or the transfer does not run any more
	deleted  map[api.TransferID][]api.File
	added    []api.AddSite
	saved    []api.SavePart
	attached []api.FileRef
}

// Site puts a file server in, as if it had been added before. Its folders are made by Folder.
func (s *Service) Site(x api.Site) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.Home == "" {
		x.Home = "/"
	}
	s.status.Sites = append(s.status.Sites, x)
}

// Folder says what is in a folder of a site.
func (s *Service) Folder(site api.AccountID, path api.FilePath, list ...api.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files.folders == nil {
		s.files.folders = map[api.FileRef][]api.File{}
	}
	for i := range list {
		if list[i].Path == "" && list[i].Kind != api.KindUnknown {
			list[i].Path, list[i].Usable = joined(path, list[i].Name), true
		}
	}
	s.files.folders[api.FileRef{Site: site, Path: path}] = list
}

func joined(folder api.FilePath, name string) api.FilePath {
	return api.FilePath(strings.TrimSuffix(string(folder), "/") + "/" + name)
}

func parent(path api.FilePath) api.FilePath {
	i := strings.LastIndexByte(string(path), '/')
	if i <= 0 {
		return "/"
	}
	return path[:i]
}

func (s *Service) tell(e api.Event) {
	s.mu.Lock()
	tell := s.onEvent
	s.mu.Unlock()
	if tell != nil {
		tell(e)
	}
}

// Tell tells the page of an event.
func (s *Service) Tell(e api.Event) { s.tell(e) }

func (s *Service) folderChanged(site api.AccountID, path api.FilePath) {
	s.mu.Lock()
	s.files.revision++
	e := api.FilesChanged{Site: site, Path: path, Revision: s.files.revision}
	s.mu.Unlock()
	s.tell(api.Event{Files: &e})
}

// Transfer changes a transfer, or adds one, and tells of it.
func (s *Service) Transfer(id api.TransferID, change func(*api.Transfer)) api.Transfer {
	s.mu.Lock()
	i := slices.IndexFunc(s.status.Transfers, func(x api.Transfer) bool { return x.ID == id })
	if i < 0 {
		if id == 0 {
			s.files.last++
			id = s.files.last
		}
		s.files.last = max(s.files.last, id)
		s.status.Transfers = append(s.status.Transfers, api.Transfer{ID: id})
		i = len(s.status.Transfers) - 1
	}
	s.status.Transfers = slices.Clone(s.status.Transfers)
	x := &s.status.Transfers[i]
	change(x)
	out := *x
	if c := s.files.wanted[id]; c != nil {
		close(c)
		delete(s.files.wanted, id)
	}
	s.mu.Unlock()
	s.tell(api.Event{Transfer: &out})
	return out
}

// TransferOf answers a transfer.
func (s *Service) TransferOf(id api.TransferID) (api.Transfer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.status.Transfers {
		if x.ID == id {
			return x, true
		}
	}
	return api.Transfer{}, false
}

// Fed is what the page has handed over for an upload.
func (s *Service) Fed(id api.TransferID) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files.fed[id]
}

// Added are the sites that were asked for; SavedParts and Attached what was saved there, and attached from there.
func (s *Service) Added() []api.AddSite { s.mu.Lock(); defer s.mu.Unlock(); return s.files.added }

// SavedParts are the attachments that were saved to a server.
func (s *Service) SavedParts() []api.SavePart { s.mu.Lock(); defer s.mu.Unlock(); return s.files.saved }

// Attached are the files that were attached from a server.
func (s *Service) Attached() []api.FileRef { s.mu.Lock(); defer s.mu.Unlock(); return s.files.attached }

// AddSite implements api.Service.
func (s *Service) AddSite(ctx context.Context, r api.AddSite) (api.Site, error) {
	if err := s.enter(ctx, "AddSite"); err != nil {
		return api.Site{}, err
	}
	s.mu.Lock()
	s.files.added = append(s.files.added, r)
	x := api.Site{ID: r.Site, Label: r.Label, Server: r.Server, HasPassword: true, Kept: r.Keep, Sealed: r.Server.Security != api.Plain, Home: "/"}
	if r.Account != "" {
		x.Server = api.Server{User: string(r.Account)}
		for i := range s.status.Accounts {
			if s.status.Accounts[i].ID == r.Account {
				s.status.Accounts[i].Files = false
			}
		}
	}
	if i := slices.IndexFunc(s.status.Sites, func(y api.Site) bool { return y.ID == r.Site }); i >= 0 {
		s.status.Sites[i] = x
	} else {
		x.ID = api.AccountID("ftp:" + string(rune('a'+len(s.status.Sites))))
		s.status.Sites = append(s.status.Sites, x)
	}
	s.mu.Unlock()
	s.tell(api.Event{Site: &x})
	s.changed()
	return x, nil
}

// RemoveSite implements api.Service.
func (s *Service) RemoveSite(ctx context.Context, id api.AccountID) error {
	if err := s.enter(ctx, "RemoveSite"); err != nil {
		return err
	}
	s.mu.Lock()
	s.status.Sites = slices.DeleteFunc(s.status.Sites, func(x api.Site) bool { return x.ID == id })
	s.mu.Unlock()
	s.tell(api.Event{SiteGone: id})
	return nil
}

// ListFiles implements api.Service.
func (s *Service) ListFiles(ctx context.Context, q api.FilesQuery) (api.FilesPage, error) {
	if err := s.enter(ctx, "ListFiles"); err != nil {
		return api.FilesPage{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.Path == "" {
		for _, x := range s.status.Sites {
			if x.ID == q.Site {
				q.Path = x.Home
			}
		}
	}
	all, ok := s.files.folders[api.FileRef{Site: q.Site, Path: q.Path}]
	if !ok {
		return api.FilesPage{}, &api.Problem{Code: api.CodeNoSuchFile, Detail: string(q.Path)}
	}
	list := slices.Clone(all)
	list = slices.DeleteFunc(list, func(x api.File) bool {
		return q.Filter != "" && !strings.Contains(strings.ToLower(x.Name), strings.ToLower(q.Filter))
	})
	slices.SortStableFunc(list, func(a, b api.File) int {
		if f := cmp.Compare(rank(a), rank(b)); f != 0 {
			return f
		}
		n := 0
		switch q.Sort {
		case api.SortSize:
			n = cmp.Compare(a.Size, b.Size)
		case api.SortDate:
			n = a.Modified.Compare(b.Modified)
		}
		if n == 0 {
			n = strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
		}
		if q.Descending {
			n = -n
		}
		return n
	})
	page := api.FilesPage{Path: q.Path, Total: len(list), Offset: q.Offset, Revision: s.files.revision, Listed: time.Now(), Crumbs: []api.Crumb{{Path: "/", Name: "/"}}}
	at := ""
	for name := range strings.SplitSeq(strings.Trim(string(q.Path), "/"), "/") {
		if name != "" {
			at += "/" + name
			page.Crumbs = append(page.Crumbs, api.Crumb{Path: api.FilePath(at), Name: name})
		}
	}
	limit := q.Limit
	if limit == 0 {
		limit = api.MaxFilesLimit
	}
	from := min(q.Offset, len(list))
	page.Files = list[from:min(from+limit, len(list))]
	return page, nil
}

func rank(x api.File) int {
	if x.Kind == api.KindFolder {
		return 0
	}
	return 1
}

// at is the folder of a path, and where in it the path is, or -1.
func (s *Service) at(site api.AccountID, path api.FilePath) (api.FileRef, int) {
	ref := api.FileRef{Site: site, Path: parent(path)}
	return ref, slices.IndexFunc(s.files.folders[ref], func(x api.File) bool { return x.Path == path })
}

// MakeFolder implements api.Service.
func (s *Service) MakeFolder(ctx context.Context, r api.MakeFolder) (api.File, error) {
	if err := s.enter(ctx, "MakeFolder"); err != nil {
		return api.File{}, err
	}
	s.mu.Lock()
	path := joined(r.Folder, r.Name)
	ref, i := s.at(r.Site, path)
	if i >= 0 {
		s.mu.Unlock()
		return api.File{}, &api.Problem{Code: api.CodeFileExists, Detail: r.Name}
	}
	x := api.File{Path: path, Name: r.Name, Kind: api.KindFolder, Size: -1, Usable: true}
	s.files.folders[ref] = append(s.files.folders[ref], x)
	s.files.folders[api.FileRef{Site: r.Site, Path: path}] = nil
	s.mu.Unlock()
	s.folderChanged(r.Site, ref.Path)
	return x, nil
}

// RenameFile implements api.Service.
func (s *Service) RenameFile(ctx context.Context, r api.RenameFile) (api.File, error) {
	if err := s.enter(ctx, "RenameFile"); err != nil {
		return api.File{}, err
	}
	s.mu.Lock()
	ref, i := s.at(r.Site, r.Path)
	if i < 0 {
		s.mu.Unlock()
		return api.File{}, &api.Problem{Code: api.CodeNoSuchFile}
	}
	x := s.files.folders[ref][i]
	to := ref.Path
	if r.Folder != "" {
		to = r.Folder
	}
	if r.Name != "" {
		x.Name = r.Name
	}
	x.Path = joined(to, x.Name)
	if _, j := s.at(r.Site, x.Path); j >= 0 {
		s.mu.Unlock()
		return api.File{}, &api.Problem{Code: api.CodeFileExists, Detail: x.Name}
	}
	s.files.folders[ref] = slices.Delete(slices.Clone(s.files.folders[ref]), i, i+1)
	there := api.FileRef{Site: r.Site, Path: to}
	s.files.folders[there] = append(s.files.folders[there], x)
	s.mu.Unlock()
	s.folderChanged(r.Site, ref.Path)
	s.folderChanged(r.Site, to)
	return x, nil
}

// DeleteFiles implements api.Service.
func (s *Service) DeleteFiles(ctx context.Context, r api.DeleteFiles) (api.Transfer, error) {
	if err := s.enter(ctx, "DeleteFiles"); err != nil {
		return api.Transfer{}, err
	}
	s.mu.Lock()
	var gone []api.File
	for _, path := range r.Paths {
		if ref, i := s.at(r.Site, path); i >= 0 {
			gone = append(gone, s.files.folders[ref][i])
			s.files.folders[ref] = slices.Delete(slices.Clone(s.files.folders[ref]), i, i+1)
		}
	}
	s.mu.Unlock()
	x := s.Transfer(0, func(x *api.Transfer) {
		x.Site, x.Direction, x.State, x.Count, x.Path, x.Folder = r.Site, api.Deleting, api.TransferWaiting, len(r.Paths), r.Paths[0], parent(r.Paths[0])
		x.Name, x.Until = gone[0].Name, time.Now().Add(api.UndoTime)
	})
	s.mu.Lock()
	if s.files.deleted == nil {
		s.files.deleted = map[api.TransferID][]api.File{}
	}
	s.files.deleted[x.ID] = gone
	s.mu.Unlock()
	s.folderChanged(r.Site, x.Folder)
	return x, nil
}

// UndoDelete implements api.Service.
func (s *Service) UndoDelete(ctx context.Context, id api.TransferID) error {
	if err := s.enter(ctx, "UndoDelete"); err != nil {
		return err
	}
	x, _ := s.TransferOf(id)
	if !time.Now().Before(x.Until) {
		return &api.Problem{Code: api.CodeTooLate}
	}
	s.mu.Lock()
	ref := api.FileRef{Site: x.Site, Path: x.Folder}
	s.files.folders[ref] = append(s.files.folders[ref], s.files.deleted[id]...)
	s.mu.Unlock()
	s.drop(id)
	s.folderChanged(x.Site, x.Folder)
	return nil
}

func (s *Service) drop(id api.TransferID) {
	s.mu.Lock()
	s.status.Transfers = slices.DeleteFunc(slices.Clone(s.status.Transfers), func(x api.Transfer) bool { return x.ID == id })
	if c := s.files.wanted[id]; c != nil {
		close(c)
		delete(s.files.wanted, id)
	}
	s.mu.Unlock()
	s.tell(api.Event{TransferGone: id})
}

// DownloadFile implements api.Service.
func (s *Service) DownloadFile(ctx context.Context, r api.FileRef) (api.Transfer, error) {
	if err := s.enter(ctx, "DownloadFile"); err != nil {
		return api.Transfer{}, err
	}
	s.mu.Lock()
	ref, i := s.at(r.Site, r.Path)
	if i < 0 {
		s.mu.Unlock()
		return api.Transfer{}, &api.Problem{Code: api.CodeNoSuchFile}
	}
	f := s.files.folders[ref][i]
	s.mu.Unlock()
	return s.Transfer(0, func(x *api.Transfer) {
		x.Site, x.Direction, x.State, x.Name, x.Path, x.Folder, x.Size = r.Site, api.Downloading, api.TransferRunning, f.Name, f.Path, ref.Path, f.Size
		x.Added = time.Now()
	}), nil
}

func (s *Service) sending(site api.AccountID, folder api.FilePath, name string, size int64, exists api.Exists) (api.Transfer, error) {
	s.mu.Lock()
	_, i := s.at(site, joined(folder, name))
	s.mu.Unlock()
	if i >= 0 && exists == api.ExistsAsk {
		return api.Transfer{}, &api.Problem{Code: api.CodeFileExists, Detail: name}
	}
	return s.Transfer(0, func(x *api.Transfer) {
		x.Site, x.Direction, x.State, x.Name, x.Path, x.Folder, x.Size = site, api.Uploading, api.TransferRunning, name, joined(folder, name), folder, size
		x.Added = time.Now()
	}), nil
}

// TakeSmall has UploadFile take the file that is sent along.
func (s *Service) TakeSmall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files.small = true
}

// UploadFile implements api.Service.
func (s *Service) UploadFile(ctx context.Context, r api.UploadFile, data []byte) (api.Transfer, error) {
	if err := s.enter(ctx, "UploadFile"); err != nil {
		return api.Transfer{}, err
	}
	x, err := s.sending(r.Site, r.Folder, r.File.Name, r.File.Size, r.Exists)
	if err == nil {
		x = s.Transfer(x.ID, func(x *api.Transfer) {
			x.File = &r.File
			if s.files.small {
				s.files.fed, s.files.wanted = map[api.TransferID][]byte{x.ID: data}, map[api.TransferID]chan struct{}{}
				x.Fed = true
			}
		})
	}
	return x, err
}

// SavePart implements api.Service.
func (s *Service) SavePart(ctx context.Context, r api.SavePart) (api.Transfer, error) {
	if err := s.enter(ctx, "SavePart"); err != nil {
		return api.Transfer{}, err
	}
	s.mu.Lock()
	m, err := s.find(r.Part.MessageRef)
	s.files.saved = append(s.files.saved, r)
	s.mu.Unlock()
	if r.Attachment != nil {
		return s.sending(r.Site, r.Folder, r.Attachment.Name, r.Attachment.Size, r.Exists)
	}
	if err != nil {
		return api.Transfer{}, err
	}
	for _, p := range m.Parts {
		if p.Index == r.Part.Index {
			return s.sending(r.Site, r.Folder, p.Name, p.Size, r.Exists)
		}
	}
	return api.Transfer{}, &api.Problem{Code: api.CodeBadRequest}
}

// AttachFile implements api.Service.
func (s *Service) AttachFile(ctx context.Context, r api.AttachFile) (api.DraftAttachment, error) {
	if err := s.enter(ctx, "AttachFile"); err != nil {
		return api.DraftAttachment{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files.attached = append(s.files.attached, r.FileRef)
	ref, i := s.at(r.Site, r.Path)
	if i < 0 {
		return api.DraftAttachment{}, &api.Problem{Code: api.CodeNoSuchFile}
	}
	f := s.files.folders[ref][i]
	s.data[api.BlobID(r.Path)] = []byte("the bytes of " + f.Name)
	return api.DraftAttachment{Blob: api.BlobID(r.Path), Name: f.Name, Type: "application/octet-stream", Size: f.Size}, nil
}

// PutChunk implements api.Service. It wants all of the file, in pieces of 4 octets.
func (s *Service) PutChunk(ctx context.Context, r api.PutChunk, data []byte) (api.Wanted, error) {
	if err := s.enter(ctx, "PutChunk"); err != nil {
		return api.Wanted{}, err
	}
	for {
		s.mu.Lock()
		i := slices.IndexFunc(s.status.Transfers, func(x api.Transfer) bool { return x.ID == r.ID })
		if i < 0 {
			s.mu.Unlock()
			return api.Wanted{}, &api.Problem{Code: api.CodeNoSuchTransfer}
		}
		x := s.status.Transfers[i]
		if s.files.fed == nil {
			s.files.fed, s.files.wanted = map[api.TransferID][]byte{}, map[api.TransferID]chan struct{}{}
		}
		if x.State != api.TransferRunning {
			s.mu.Unlock()
			return api.Wanted{Over: true}, nil
		}
		if int64(len(s.files.fed[r.ID])) == r.Offset {
			s.files.fed[r.ID] = append(s.files.fed[r.ID], data...)
			data = nil
		}
		have := int64(len(s.files.fed[r.ID]))
		if have < x.Size {
			s.mu.Unlock()
			return api.Wanted{Offset: have, Length: int(min(4, x.Size-have))}, nil
		}
		c := make(chan struct{})
		s.files.wanted[r.ID] = c
		s.mu.Unlock()
		select {
		case <-c:
		case <-ctx.Done():
			return api.Wanted{}, ctx.Err()
		}
	}
}

func (s *Service) state(ctx context.Context, method string, id api.TransferID, to api.TransferState) error {
	if err := s.enter(ctx, method); err != nil {
		return err
	}
	if _, ok := s.TransferOf(id); !ok {
		return &api.Problem{Code: api.CodeNoSuchTransfer}
	}
	s.Transfer(id, func(x *api.Transfer) { x.State, x.Problem = to, nil })
	return nil
}

// PauseTransfer implements api.Service.
func (s *Service) PauseTransfer(ctx context.Context, id api.TransferID) error {
	return s.state(ctx, "PauseTransfer", id, api.TransferPaused)
}

// ResumeTransfer implements api.Service.
func (s *Service) ResumeTransfer(ctx context.Context, r api.ResumeTransfer) (api.Transfer, error) {
	x, _ := s.TransferOf(r.ID)
	if r.File != nil && x.File != nil && *r.File != *x.File {
		return api.Transfer{}, &api.Problem{Code: api.CodeOtherFile, Detail: r.File.Name}
	}
	err := s.state(ctx, "ResumeTransfer", r.ID, api.TransferRunning)
	x, _ = s.TransferOf(r.ID)
	return x, err
}

// CancelTransfer implements api.Service.
func (s *Service) CancelTransfer(ctx context.Context, id api.TransferID) error {
	if err := s.enter(ctx, "CancelTransfer"); err != nil {
		return err
	}
	s.drop(id)
	return nil
}

// ClearTransfers implements api.Service.
func (s *Service) ClearTransfers(ctx context.Context, ids []api.TransferID) error {
	if err := s.enter(ctx, "ClearTransfers"); err != nil {
		return err
	}
	s.mu.Lock()
	list := slices.Clone(s.status.Transfers)
	s.mu.Unlock()
	for _, x := range list {
		if len(ids) == 0 && x.State == api.TransferDone || slices.Contains(ids, x.ID) {
			s.drop(x.ID)
		}
	}
	return nil
}

// TakenOver implements api.Service.
func (s *Service) TakenOver(ctx context.Context, id api.TransferID) error {
	if err := s.enter(ctx, "TakenOver"); err != nil {
		return err
	}
	s.Transfer(id, func(x *api.Transfer) { x.Saved = true })
	return nil
}

// ReadDownload implements api.Service. A file is so many times "x".
func (s *Service) ReadDownload(ctx context.Context, r api.ReadDownload) ([]byte, error) {
	if err := s.enter(ctx, "ReadDownload"); err != nil {
		return nil, err
	}
	x, _ := s.TransferOf(r.ID)
	return []byte(strings.Repeat("x", int(min(x.Size-r.Offset, 10)))), nil
}
