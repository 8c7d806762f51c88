package config

import (
	"fmt"
	"io"
	"strings"
)

// Example writes a file of settings with every setting in it, commented out, with what it is and its default.
func Example(w io.Writer) error {
	var b strings.Builder
	b.WriteString(`# The settings of Postern's gateway, with their defaults (TOML). Take out the # before a line to change it.
# A flag (--listen) wins over an environment variable (POSTERN_LISTEN), which wins over this file.
# postern config check --config FILE says what is wrong, or what would be served.
`)
	c := defaults()
	for _, part := range sections(&c) {
		fmt.Fprintf(&b, "\n# --- %s ---\n", part.title)
		for _, s := range part.settings {
			name, usage := s.describe()
			kind := strings.TrimPrefix(name, s.name)
			if kind = strings.TrimSpace(kind); kind == "" {
				kind = "true or false"
			}
			fmt.Fprintf(&b, "\n# %s (%s)\n# %s = %s\n", usage, kind, s.name, s.literal())
			if s.secret() {
				fmt.Fprintf(&b, "# %s = \"\"  # or the file that holds it, which others should not be able to read\n", s.name+fileSuffix)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// literal is the value as TOML.
func (s setting) literal() string {
	v := s.value.String()
	switch s.value.(type) {
	case *toggle:
		return v
	case *origins, *targets, *networks, *domains:
		if v == "" {
			return "[]"
		}
		return `["` + strings.ReplaceAll(v, ",", `", "`) + `"]`
	}
	return fmt.Sprintf("%q", v)
}
