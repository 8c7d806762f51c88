package charset_test

import (
	"testing"

	"github.com/postern-mail/postern/shared/mail/charset"
)

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name, octets, text string
		ok                 bool
	}{
		{"windows-1251", "\xcf\xf0\xe8\xe2\xe5\xf2", "Привет", true},
		{"koi8-r", "\xf0\xd2\xc9\xd7\xc5\xd4", "Привет", true},
		{"shift_jis", "\x83e\x83X\x83g", "テスト", true},
		{"shift_jis", "\x83", "\ufffd", true},
		{"iso-8859-1", "\x93\x80", "“€", true},
		{"gb2312", "\xb2\xe2\xca\xd4", "测试", true},
		{"ibm437", "\x81", "ü", true},
		{"replacement", "x", "", false},
		{"klingon", "x", "", false},
		{"", "x", "", false},
	} {
		if text, ok := charset.Decode(c.name, []byte(c.octets)); text != c.text || ok != c.ok {
			t.Errorf("%s %q: %q, %v", c.name, c.octets, text, ok)
		}
	}
}
