package ui

// MessageMarkup shows safe HTML in a frame without scripts.
type MessageMarkup struct {
	HTML  string
	Frame MessageFrame
}
