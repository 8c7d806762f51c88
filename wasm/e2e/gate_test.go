package e2e

import "testing"

// A gateway that asks for an access token gets it once from a browser, which keeps it; a wrong one is refused in words.
func TestAccessToken(t *testing.T) {
	const token = "the token of the family"
	g := startGateway(t, "--token="+token)
	b := startBrowser(t, "alice")
	b.Go(g.URL())
	b.Until("it asks", q("gate-form")+` !== null && `+q("signin-form")+` === null`)
	b.Until("where to type", `document.activeElement === `+q("gate-token"))
	b.shot("gate")
	b.Type("gate-token", "a token of somebody else")
	b.Click("gate-submit")
	b.Until("it is refused", q("gate-form")+`.textContent.includes("was not accepted")`)
	b.Fill("gate-token", token)
	b.Click("gate-submit")
	b.Until("the gate is open", q("gate-form")+` === null`)
	b.SignInDemo("alice")
	b.Compose("bob@postern.test", "Through the gate", "Hello Bob")

	// It is kept, over a reload and over a gateway's restart.
	b.Reload()
	b.Until("online again", q("connection-state")+`.dataset.state === "online"`)
	b.Until("it does not ask", q("gate-form")+` === null`)

	// One that is taken back is asked for, above the mail.
	g.Kill()
	g.flags = []string{"--token=another token altogether"}
	g.Start()
	b.Until("it asks again", q("gate-form")+` !== null && `+q("gate-form")+`.textContent.includes("was not accepted")`)
	b.Until("the mail is there", q("folder-sent")+` !== null`)
	b.shot("gate-above-the-mail")
	b.Fill("gate-token", "another token altogether")
	b.Click("gate-submit")
	b.Until("online with it", q("connection-state")+`.dataset.state === "online" && `+q("gate-form")+` === null`)
}
