package view

import (
	"strconv"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// TransferWords say how a transfer stands, beside the picture that says it too.
type TransferWords struct {
	Text     string
	More     string  // what it means, or what to do
	Icon     string  //
	Tone     string  // "good", "waits", "bad" or ""
	Progress float64 // 0 to 1; -1: not known, or of no interest
	Problem  *api.Problem
}

// WordsOf say how a transfer stands.
func (t *Transfers) WordsOf(x api.Transfer) TransferWords {
	w := TransferWords{Icon: "clock", Tone: "waits", Progress: -1}
	if x.Size > 0 {
		w.Progress = min(float64(x.Done)/float64(x.Size), 1)
	}
	so := soFar(x)
	switch x.State {
	case api.TransferRunning:
		w.Icon, w.Tone = "download", ""
		switch x.Direction {
		case api.Uploading:
			w.Icon = "upload"
		case api.Deleting:
			w.Icon = "trash"
		}
		w.Text = t.runningWords(x, so)
	case api.TransferPaused:
		w.Icon, w.Text = "pause", "Paused at "+so
	case api.TransferNeedsFile:
		w.Icon, w.Text, w.More = "question", "Needs its file again", "It stopped at "+so+" when the page was left. Choose the same file, and it goes on from there."
		if t.held[x.ID] != nil {
			w.Text, w.More = "Going on at "+so+"…", ""
		}
	case api.TransferFailed:
		w.Icon, w.Tone, w.Problem, w.Text = "alert", "bad", x.Problem, "Failed"
		if x.Problem != nil {
			words := FileWords(x.Problem)
			w.Text, w.More = words.Title, sentences(words.Means, words.Do)
			w.Progress = -1
		}
	case api.TransferDone:
		w.Icon, w.Tone, w.Progress = "check", "good", -1
		w.Text = "Uploaded, " + Size(x.Size)
		if x.Direction == api.Downloading {
			w.Text = "Downloaded, " + Size(x.Size)
		}
	default:
		w.Text, w.More = t.waitingWords(x), ""
		if x.Done == 0 {
			w.Progress = -1
		} else {
			w.Text += ", " + so + " so far"
		}
		if x.Problem != nil && x.Problem.Code != api.CodeGatewayOffline && t.app.Gateway.State == api.Online {
			w.Problem, w.More = x.Problem, FileWords(x.Problem).Means
		}
	}
	if x.Anew && x.State != api.TransferFailed {
		w.More = strings.TrimSpace("It began again from the start: the file was not what it had been. " + w.More)
	}
	return w
}

func (t *Transfers) waitingWords(x api.Transfer) string {
	switch {
	case t.app.Gateway.State != api.Online:
		return "Waits for the connection"
	case x.Problem != nil && x.Problem.Code != api.CodeGatewayOffline:
		s := FileWords(x.Problem).Title
		if !x.RetryAt.IsZero() {
			s += ", tried again at " + t.app.platform.Local(x.RetryAt).Format("15:04:05")
		}
		return s
	}
	return "Waits for its turn"
}

func (t *Transfers) runningWords(x api.Transfer, so string) string {
	if x.Direction == api.Deleting {
		return "Deleting, " + Number(int(x.Done)) + " so far"
	}
	if x.Done == 0 && x.Rate == 0 {
		return "Beginning…"
	}
	s := so
	if x.Rate > 0 {
		s += ", " + Size(x.Rate) + "/s"
		if left := x.Size - x.Done; x.Size > 0 && left > 0 {
			s += ", " + Lasts(time.Duration(left/max(x.Rate, 1))*time.Second) + " left"
		}
	}
	return s
}

// sentences joins some, of which one may be a server's words and end without a full stop.
func sentences(list ...string) string {
	var b strings.Builder
	for _, s := range list {
		if s == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(s)
		if strings.IndexByte(".!?", s[len(s)-1]) < 0 {
			b.WriteByte('.')
		}
	}
	return b.String()
}

// soFar is "12 of 50 MB".
func soFar(x api.Transfer) string {
	if x.Size < 0 {
		return Size(x.Done)
	}
	done, all := Size(x.Done), Size(x.Size)
	n, unit, _ := strings.Cut(done, " ")
	if _, same, _ := strings.Cut(all, " "); unit == same {
		done = n
	}
	return done + " of " + all
}

// Lasts is how long something takes, in the two largest units.
func Lasts(d time.Duration) string {
	s := int(d / time.Second)
	switch {
	case s < 60:
		return strconv.Itoa(max(s, 1)) + " s"
	case s < 3600:
		return strconv.Itoa(s/60) + " min " + strconv.Itoa(s%60) + " s"
	}
	return strconv.Itoa(s/3600) + " h " + strconv.Itoa(s/60%60) + " min"
}

// Summary is the tray in a line, and how far all of it is: 0 to 1, or -1.
func (t *Transfers) Summary() (text string, progress float64) {
	var running, waiting, failed, needs, done int
	var size, have int64
	for i := range t.list {
		x := &t.list[i]
		if !shown(x) {
			continue
		}
		switch x.State {
		case api.TransferRunning:
			running++
		case api.TransferFailed:
			failed++
			continue
		case api.TransferDone:
			done++
			continue
		case api.TransferNeedsFile:
			needs++
		default:
			waiting++
		}
		if x.Direction != api.Deleting && x.Size > 0 {
			size, have = size+x.Size, have+x.Done
		}
	}
	progress = -1
	if running > 0 && size > 0 {
		progress = float64(have) / float64(size)
	}
	switch {
	case running > 0:
		text = Count(running+waiting, "file") + " on the way"
	case failed > 0:
		text = Count(failed, "transfer") + " failed"
	case needs > 0:
		text = Count(needs, "upload") + " need"
		if needs == 1 {
			text += "s"
		}
		text += " its file again"
		if needs > 1 {
			text = Number(needs) + " uploads need their files again"
		}
	case waiting > 0:
		text = Count(waiting, "file") + " waiting"
	default:
		text = Count(done, "transfer") + " done"
	}
	return text, progress
}

// Over says whether there is something in the tray that is over.
func (t *Transfers) Over() bool {
	for i := range t.list {
		if s := t.list[i].State; s == api.TransferDone || s == api.TransferFailed {
			return true
		}
	}
	return false
}
