package ui

import (
	"strconv"

	"github.com/vugu/vugu"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// Transfers is the tray with the files on their way: at the lower right, or a bar where there is room for one pane.
type Transfers struct {
	App *view.App

	text     string
	progress int // of 1000; -1: none
	list     []transferItem
	more     int
}

// Compute runs before each build.
func (c *Transfers) Compute() {
	text, p := c.App.Transfers.Summary()
	c.text, c.progress = text, -1
	if p >= 0 {
		c.progress = int(p * 1000)
	}
	c.list, c.more = nil, 0
	if c.App.Transfers.Open {
		c.items()
	}
}

type transferItem struct {
	api.Transfer
	words     view.TransferWords
	where     string
	id        string
	progress  int // of 1000; -1: none
	turn, end *trayAct
}

func (c *Transfers) items() {
	t := &c.App.Transfers
	list, more := t.Tray()
	c.more = more
	for _, x := range list {
		i := transferItem{Transfer: x, words: t.WordsOf(x), where: view.SiteLabel(c.App.Site(x.Site)), id: strconv.FormatUint(uint64(x.ID), 10), progress: -1}
		if i.words.Progress >= 0 && x.Direction != api.Deleting {
			i.progress = int(i.words.Progress * 1000)
		}
		i.turn, i.end = i.acts()
		if x.Count > 1 {
			i.Name = view.Count(x.Count, "item")
		}
		c.list = append(c.list, i)
	}
}

func (x transferItem) title() string {
	switch x.Direction {
	case api.Uploading:
		return "To " + x.where
	case api.Deleting:
		return "Deleting on " + x.where
	}
	return "From " + x.where
}

// trayAct is what a button of the tray does.
type trayAct struct {
	hook, word, picture string
	do                  func(*view.Transfers, api.TransferID)
}

var (
	trayPause  = trayAct{"transfer-pause", "Pause", "pause", (*view.Transfers).Pause}
	trayGoOn   = trayAct{"transfer-resume", "Go on", "play", (*view.Transfers).Resume}
	trayAgain  = trayAct{"transfer-resume", "Try again", "sync", (*view.Transfers).Resume}
	trayCancel = trayAct{"transfer-cancel", "Cancel", "close", (*view.Transfers).Cancel}
	trayClear  = trayAct{"transfer-clear", "Clear", "close", (*view.Transfers).Clear}
)

// acts are what can be done with it: what has it stand still or go on, which may be nil, and what takes it out.
func (x *transferItem) acts() (turn, end *trayAct) {
	end = &trayCancel
	switch x.State {
	case api.TransferRunning, api.TransferWaiting:
		turn = &trayPause
	case api.TransferPaused:
		turn = &trayGoOn
	case api.TransferFailed:
		turn, end = &trayAgain, &trayClear
	case api.TransferDone:
		end = &trayClear
	}
	if x.Direction == api.Deleting {
		turn = nil
	}
	return turn, end
}

func (x transferItem) canSave() bool {
	return x.State == api.TransferDone && x.Direction == api.Downloading
}

func (x transferItem) done() string { return strconv.FormatInt(x.Done, 10) }

func (x transferItem) technical() string {
	if x.words.Problem == nil {
		return ""
	}
	return view.FileWords(x.words.Problem).Technical
}

func (c *Transfers) choose(id api.TransferID, e vugu.DOMEvent) {
	for _, f := range chosen(e.JSEventTarget()) {
		c.App.Transfers.Choose(id, f)
		return
	}
}
