package engine

import "context"

// Prepare lets the engine get ready for a SignIn, once, as far as Config says how. It answers at once; SignIn ends it.
func (e *Engine) Prepare(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.Config.Prepare == nil || e.preparing != nil || e.running == nil || e.closed {
		return nil
	}
	e.preparing = startTask(e.running, e.Config.Prepare)
	return nil
}

// prepared ends what Prepare began.
func (e *Engine) prepared() {
	e.mu.Lock()
	preparing := e.preparing
	e.mu.Unlock()
	preparing.stop()
}
