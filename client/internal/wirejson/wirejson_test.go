package wirejson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/internal/wirejson"
	"pgregory.net/rapid"
)

// spoken are the types that page and engine exchange.
var spoken = []any{
	api.Status{}, api.SignIn{}, api.SignOut{}, api.Account{}, api.ListQuery{}, api.ListPage{}, api.MessageRef{}, api.Message{},
	api.PartRef{}, api.Part{}, api.Mark{}, api.Move{}, api.Erase{}, api.Upload{}, api.DraftAttachment{}, []api.DraftAttachment{},
	api.Draft{}, api.MessageID(0), api.AccountID(""), api.Event{}, api.Problem{},
	api.Site{}, api.AddSite{}, api.FilesQuery{}, api.FilesPage{}, api.File{}, api.FileRef{}, api.MakeFolder{}, api.RenameFile{}, api.DeleteFiles{},
	api.UploadFile{}, api.SavePart{}, api.AttachFile{}, api.PutChunk{}, api.Wanted{}, api.Transfer{}, api.TransferID(0), []api.TransferID{},
	api.ResumeTransfer{}, api.ReadDownload{}, api.WirePage{},
	api.QueueQuery{}, api.QueuePage{}, api.QueueRef{}, api.QueueItem{}, api.QueueChange{}, api.QueueWatch{}, api.World{}, api.WorldChange{},
}

// fill draws a value.
func fill(t *rapid.T, v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		at := time.Unix(rapid.Int64Range(-62135596800, 253402300799-86400).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanos"))
		if zone := rapid.IntRange(-14*60, 14*60).Draw(t, "zone"); zone != 0 {
			at = at.In(time.FixedZone("", zone*60))
		} else {
			at = at.UTC()
		}
		if y := at.Year(); y < 0 || y > 9999 {
			at = time.Time{}
		}
		v.Set(reflect.ValueOf(at))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "there") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem())
		}
	case reflect.Slice:
		if n := rapid.IntRange(-1, 3).Draw(t, "length"); n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(t, v.Index(i))
			}
		}
	case reflect.String:
		v.SetString(rapid.String().Draw(t, "string"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int"))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, "uint"))
	case reflect.Float64:
		v.SetFloat(rapid.Float64().Draw(t, "float"))
	default:
		t.Fatalf("no value for %s", v.Type())
	}
}

func TestSpeaksWithEncodingJSON(t *testing.T) {
	for _, of := range spoken {
		t.Run(reflect.TypeOf(of).String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				v := reflect.New(reflect.TypeOf(of))
				fill(t, v.Elem())
				ours, err := wirejson.Marshal(v.Interface())
				if err != nil {
					t.Fatal(err)
				}
				theirs, err := json.Marshal(v.Interface())
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range []struct {
					in   []byte
					read func([]byte, any) error
				}{{ours, json.Unmarshal}, {theirs, wirejson.Unmarshal}, {ours, wirejson.Unmarshal}} {
					got := reflect.New(reflect.TypeOf(of))
					if err := c.read(c.in, got.Interface()); err != nil {
						t.Fatalf("%s: %v", c.in, err)
					}
					want := reflect.New(reflect.TypeOf(of))
					if err := json.Unmarshal(theirs, want.Interface()); err != nil {
						t.Fatal(err)
					}
					if d := cmp.Diff(want.Interface(), got.Interface()); d != "" {
						t.Fatalf("%s: %s", c.in, d)
					}
				}
			})
		})
	}
}

func TestReading(t *testing.T) {
	type pair struct {
		A int    `json:"a"`
		B string `json:"b"`
	}
	for in, want := range map[string]pair{
		`{}`:                           {7, "keep"},
		` { "a" : 1 , "b" : "x" } `:    {1, "x"},
		`{"b":null,"a":null}`:          {7, "keep"},
		`{"c":[1,{"d":"e"}],"a":2}`:    {2, "keep"},
		`{"b":"\u00e9\ud83d\ude00\n"}`: {7, "é😀\n"},
		`{"b":"\ud83dx"}`:              {7, "\uFFFDx"},
		`{"a":-0}`:                     {0, "keep"},
	} {
		got := pair{7, "keep"}
		if err := wirejson.Unmarshal([]byte(in), &got); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{
		``, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,}`, `{a:1}`, `{"a":"1"}`, `{"a":1.5}`, `{"a":1e400}`, `{"a":99999999999999999999}`, `{"b":1}`,
		`{"b":"`, `{"b":"\`, `{"b":"\x"}`, `{"b":"\u12"}`, "{\"b\":\"\n\"}", `[]`, `"x"`, `{} {}`, `nul`, `tru`, `{"a":01}`, `{"a":.5}`, `{"a":+1}`,
		`{"a":true}`, `{"b":[]}`, `{"b":{}}`, strings.Repeat(`{"x":`, 200) + `1` + strings.Repeat(`}`, 200),
	} {
		var got pair
		err := wirejson.Unmarshal([]byte(in), &got)
		var syntax *wirejson.SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%s: %v", in, err)
		}
	}
	var unsupported *wirejson.UnsupportedError
	if err := wirejson.Unmarshal([]byte(`1`), 1); !errors.As(err, &unsupported) {
		t.Error(err)
	}
	for _, v := range []any{map[string]int{}, []byte("x"), make(chan int), func() {}, [2]int{}} {
		if b, err := wirejson.Marshal(v); !errors.As(err, &unsupported) {
			t.Errorf("%T: %s, %v", v, b, err)
		}
	}
}

// FuzzUnmarshal holds hostile input against encoding/json: one takes what the other takes, as the same value, and what
// was read can be written and is then the same. Four things are apart on purpose: encoding/json takes names in another
// case, reads a name that comes twice into what the first one left, nests a hundred times deeper, and takes times that
// RFC 3339 has not.
func FuzzUnmarshal(f *testing.F) {
	for _, of := range spoken {
		b, _ := json.Marshal(of)
		f.Add(b)
	}
	f.Add([]byte(`{"id":1,"date":"2026-11-23T01:02:03.5+09:00","from":{"name":"\u3042","addr":"a@b"},"to":[{}],"parts":null}`))
	f.Add([]byte(`{"date":"2026-11-23T1:02:03,5Z","text":"\ud83d\u0041\udc00"}`))
	f.Add([]byte("{\"text\":\"\xff\xed\xa0\x80\",\"x\":[1e5,-0.0,{\"y\":null}]}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var ours, theirs api.Message
		err, jsonErr := wirejson.Unmarshal(in, &ours), json.Unmarshal(in, &theirs)
		if json.Valid(in) && apart(in) {
			return
		}
		if err != nil && jsonErr == nil && strings.Contains(err.Error(), "RFC 3339") {
			return // TestTimesAreThoseOfUnmarshalText
		}
		if (err == nil) != (jsonErr == nil) {
			t.Fatalf("%s: %v; encoding/json: %v", in, err, jsonErr)
		}
		if err != nil {
			return
		}
		if d := cmp.Diff(theirs, ours); d != "" {
			t.Fatalf("%s: %s", in, d)
		}
		text, err := wirejson.Marshal(&ours)
		if err != nil {
			t.Fatalf("%s: what was read cannot be written: %v", in, err)
		}
		var again, back api.Message
		if err := wirejson.Unmarshal(text, &again); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if d := cmp.Diff(again, back); d != "" {
			t.Fatalf("%s: %s", text, d)
		}
	})
}

// names are those of a message's fields, and of what is in it.
var names = func() map[string]bool {
	all := map[string]bool{}
	var visit func(reflect.Type)
	visit = func(t reflect.Type) {
		switch {
		case t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice:
			visit(t.Elem())
		case t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]():
			for i := range t.NumField() {
				name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
				all[name] = true
				visit(t.Field(i).Type)
			}
		}
	}
	visit(reflect.TypeFor[api.Message]())
	return all
}()

// apart says that valid JSON has what FuzzUnmarshal excepts.
func apart(in []byte) bool {
	type level struct {
		object, value bool // value: a name's value comes next
		seen          map[string]bool
	}
	var open []level
	for d := json.NewDecoder(bytes.NewReader(in)); ; {
		token, err := d.Token()
		if err != nil {
			return err != io.EOF
		}
		if len(open) > 90 {
			return true
		}
		if token == json.Delim('}') || token == json.Delim(']') {
			open = open[:len(open)-1]
			continue
		}
		if n := len(open); n > 0 && open[n-1].object {
			l := &open[n-1]
			if name, ok := token.(string); ok && !l.value {
				for known := range names {
					if known != name && strings.EqualFold(known, name) {
						return true
					}
				}
				if l.seen[name] {
					return true
				}
				l.seen[name], l.value = true, true
				continue
			}
			l.value = false
		}
		if token == json.Delim('{') || token == json.Delim('[') {
			open = append(open, level{object: token == json.Delim('{'), seen: map[string]bool{}})
		}
	}
}

func BenchmarkListPage(b *testing.B) {
	p := api.ListPage{Total: 100}
	for range 100 {
		p.Rows = append(p.Rows, api.Row{ID: 7, Folder: api.Inbox, From: api.Address{Name: "Bob Example", Addr: "bob@example.org"}, Subject: "the subject of a message", Snippet: "the first words of it", Date: time.Now(), Size: 12345})
	}
	text, _ := json.Marshal(p)
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			var got api.ListPage
			if err := wirejson.Unmarshal(text, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		for b.Loop() {
			var got api.ListPage
			if err := json.Unmarshal(text, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
}
