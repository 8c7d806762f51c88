//go:build !js

package tunnel_test

import "go.uber.org/goleak"

func leakOptions() []goleak.Option { return nil }
