package ui

import "github.com/vugu/vugu/js"

// MessageFrame shows safe HTML in a message's frame. client/platform implements it.
//
// Fill is called once for each frame element, after it was made and before its frame.html has loaded: the frame is
// `<iframe class="message-frame" src="/frame.html" sandbox="allow-same-origin allow-popups …">`. When frame.html has
// loaded, Fill puts safeHTML into its body, makes the frame as tall as its content (and keeps it so), gives the frame's
// document the theme's colours, and passes keys typed inside the frame on to the page's document, so that shortcuts
// work there too.
type MessageFrame interface {
	Fill(frame js.Value, safeHTML string)
}
