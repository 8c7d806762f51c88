package ui

import "github.com/postern-mail/postern/client/view"

// Fields are what is filled in, one below the other.
type Fields struct{ List []view.Field }

// inputType is an input's type, "" where another element takes what is filled in.
func inputType(f view.Field) string {
	switch f.Kind {
	case view.TextField, view.NumberField:
		return "text" // a number field of a browser turns with the mouse's wheel
	case view.EmailField, view.PasswordField:
		return string(f.Kind)
	}
	return ""
}

func inputMode(f view.Field) any {
	if f.Kind == view.NumberField {
		return "numeric"
	}
	return nil
}

func autocomplete(f view.Field) string {
	if f.Auto == "" {
		return "off"
	}
	return f.Auto
}

func hintID(f view.Field) any {
	if f.Hint == "" {
		return nil
	}
	return f.ID + "-hint"
}
