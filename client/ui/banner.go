package ui

import (
	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// Banner says the one thing that keeps the account from working, and what to do.
type Banner struct {
	App   *view.App
	Alert *view.Alert
}

func (c *Banner) words() view.Words { return c.App.AlertWords(c.Alert) }

func (c *Banner) picture() string {
	if c.words().Waits {
		return "info"
	}
	return "alert"
}

func (c *Banner) needsPassword() bool {
	p := c.Alert.Problem
	return p.Code == api.CodePasswordNeeded || p.Code == api.CodeWrongPassword
}

// ofSettings says that the account's settings may be what is wrong.
func (c *Banner) ofSettings() bool {
	switch c.Alert.Problem.Code {
	case api.CodeSettingsNeeded, api.CodeNoTLS, api.CodeNoMechanism, api.CodeTargetRefused, api.CodeServerUnreachable, api.CodeServerProtocol:
		return true
	}
	return false
}
