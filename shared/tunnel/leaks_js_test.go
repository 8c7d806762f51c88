package tunnel_test

import "go.uber.org/goleak"

// leakOptions: the runtime's own goroutine for JavaScript's events is no leak.
func leakOptions() []goleak.Option {
	return []goleak.Option{goleak.IgnoreAnyFunction("runtime.handleEvent")}
}
