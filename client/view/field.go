package view

// Section is a part of a form: what it is about, what is filled in there, and what can be done at once. A form is a list
// of sections, so that there is one component for all of them.
type Section struct {
	ID      string
	Title   string
	Words   string
	Code    string // to be compared letter by letter: a fingerprint
	Fields  []Field
	Actions []Action
}

// FieldKind says how a field is filled in.
type FieldKind string

// The kinds.
const (
	TextField     FieldKind = "text"
	EmailField    FieldKind = "email"
	PasswordField FieldKind = "password"
	NumberField   FieldKind = "number"
	ChoiceField   FieldKind = "choice" // one of Options
	ToggleField   FieldKind = "toggle"
	AreaField     FieldKind = "area"
)

// Field is one thing to fill in. It reads and writes what Value (of a toggle: On) points at.
type Field struct {
	ID      string // the hook too
	Label   string
	Kind    FieldKind
	Value   *string
	On      *bool
	Options []Option
	Example string // shown while it is empty
	Auto    string // what a browser may fill in (the autocomplete attribute); "" is "off"
	Hint    string
	Loud    bool // the hint warns: red
	Wrong   bool // this is where the mistake is
	Changed func(was string)
}

// Option is one of a choice.
type Option struct{ Value, Label string }

// Action is a button.
type Action struct {
	ID, Label string
	Hint      string // what it does, if the label cannot say all of it
	Bad       bool   // it takes something away
	Do        func()
}

// Set takes what somebody typed or chose.
func (f *Field) Set(v string) {
	was := *f.Value
	*f.Value = v
	if f.Changed != nil {
		f.Changed(was)
	}
}

// Switch takes what somebody switched.
func (f *Field) Switch(on bool) {
	*f.On = on
	if f.Changed != nil {
		f.Changed("")
	}
}

// wrongField is a mistake in a form: where, and what.
type wrongField struct{ id, why string }

// marked says which field the mistake is in, and why.
func (w wrongField) marked(list []Section) []Section {
	for i := range list {
		for j := range list[i].Fields {
			if f := &list[i].Fields[j]; w.id != "" && f.ID == w.id {
				f.Wrong, f.Hint, f.Loud = true, w.why, true
			}
		}
	}
	return list
}
