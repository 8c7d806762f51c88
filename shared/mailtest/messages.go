package mailtest

import (
	"encoding/base64"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// Generator makes messages that look like a real mailbox: sizes are lognormal, a third answer another one, half are
// HTML beside text, some have an attachment, text is English, German, Japanese and Russian in 8-bit UTF-8, and some lines
// start with a dot. Message i is the same at every run.
type Generator struct {
	Seed        uint64
	Median      int     // octets of the body; default 4,096
	Largest     int     // octets of a body without its attachment; default 200,000
	Attachments float64 // share of messages with one; default none
	Attachment  int     // octets of the largest; default 1 MB. The smallest has half
}

var vocabulary = strings.Fields(`the quarterly report attached please review budget meeting Thursday invoice überfällig
	Grüße regards shipment delayed 会議 資料 議事録を確認してください почта договор contract draft server outage thanks for
	your patience we will follow up with details about the migration plan schedule lunch photo holiday ticket number
	confirm receipt of order`)

var epoch = time.Date(2024, 1, 1, 8, 0, 0, 0, time.UTC)

// Date returns when message i was written: they are 17 minutes apart.
func (g Generator) Date(i int) time.Time { return epoch.Add(time.Duration(i) * 17 * time.Minute) }

// MessageID returns the Message-ID of message i, with its angle brackets.
func (g Generator) MessageID(i int) string { return fmt.Sprintf("<%d.%d@example.org>", i, g.Seed) }

// Message returns message i, from 0, with CRLF line ends.
func (g Generator) Message(i int) []byte {
	r := writer{Rand: rand.New(rand.NewPCG(g.Seed, uint64(i)))}
	size := int(float64(orDefault(g.Median, 4096)) * math.Exp(r.NormFloat64()))
	size = max(300, min(size, orDefault(g.Largest, 200_000)))

	date := g.Date(i).Format(time.RFC1123Z)
	r.linef("Return-Path: <sender%d@example.org>", i%500)
	r.linef("Received: from relay%d.example.org by mail.example.test with ESMTPS id %08x; %s", i%7, i, date)
	r.linef("Date: %s", date)
	r.linef("From: \"Sender Number %d\" <sender%d@example.org>", i%500, i%500)
	r.linef("To: Bob <bob@example.test>")
	r.linef("Subject: =?UTF-8?B?%s?=", base64.StdEncoding.EncodeToString([]byte(strings.Join(r.words(5), " "))))
	r.linef("Message-ID: %s", g.MessageID(i))
	if i%3 == 1 {
		r.linef("In-Reply-To: %s", g.MessageID(i-1))
		r.linef("References: %s", g.MessageID(i-1))
	}
	r.linef("MIME-Version: 1.0")
	attached := r.Float64() < g.Attachments
	if attached {
		r.linef("Content-Type: multipart/mixed; boundary=mixed")
		r.linef("")
		r.linef("--mixed")
	}
	if i%2 == 0 {
		r.linef("Content-Type: multipart/alternative; boundary=alternative")
		r.linef("")
		r.linef("--alternative")
		r.text("plain", size/3)
		r.linef("--alternative")
		r.text("html", size*2/3)
		r.linef("--alternative--")
	} else {
		r.text("plain", size)
	}
	if attached {
		r.attachment(i, orDefault(g.Attachment, 1<<20))
		r.linef("--mixed--")
	}
	return []byte(r.String())
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

type writer struct {
	*rand.Rand
	strings.Builder
}

func (w *writer) linef(format string, args ...any) {
	fmt.Fprintf(&w.Builder, format, args...)
	w.WriteString("\r\n")
}

func (w *writer) words(n int) []string {
	words := make([]string, n)
	for i := range words {
		words[i] = vocabulary[w.IntN(len(vocabulary))]
	}
	return words
}

// text writes a text part with its header, of about that many octets.
func (w *writer) text(subtype string, octets int) {
	w.linef("Content-Type: text/%s; charset=utf-8", subtype)
	w.linef("Content-Transfer-Encoding: 8bit")
	w.linef("")
	end := w.Len() + octets
	if subtype == "html" {
		w.linef("<html><body>")
	}
	for column := 0; w.Len() < end; {
		word := vocabulary[w.IntN(len(vocabulary))]
		if subtype == "html" && w.IntN(12) == 0 {
			word = "<b>" + word + "</b>"
		}
		w.WriteString(word)
		column += len(word) + 1
		if column <= 72 {
			w.WriteByte(' ')
			continue
		}
		column = 0
		w.WriteString("\r\n")
		switch w.IntN(120) {
		case 0:
			w.linef(".a line that starts with a dot")
		case 1:
			w.linef("..")
		case 2:
			w.linef(".")
		}
	}
	w.WriteString("\r\n")
	if subtype == "html" {
		w.linef("</body></html>")
	}
}

func (w *writer) attachment(i, largest int) {
	w.linef("--mixed")
	w.linef("Content-Type: application/pdf; name=\"report-%d.pdf\"", i)
	w.linef("Content-Disposition: attachment; filename=\"report-%d.pdf\"", i)
	w.linef("Content-Transfer-Encoding: base64")
	w.linef("")
	content := make([]byte, largest/2+w.IntN(max(largest/2, 1)))
	for k := 0; k < len(content); k += 8 {
		v := w.Uint64()
		for j := k; j < min(k+8, len(content)); j++ {
			content[j] = byte(v)
			v >>= 8
		}
	}
	encoded := base64.StdEncoding.EncodeToString(content)
	for len(encoded) > 76 {
		w.linef("%s", encoded[:76])
		encoded = encoded[76:]
	}
	w.linef("%s", encoded)
}
