package bridge

import "github.com/postern-mail/postern/shared/tunnel"

// discovery is not for WebAssembly: nothing can be looked up there, and the HTTP and TLS of its own that it takes with it
// would be a third of the program.
type discovery struct{}

func newDiscovery(*Bridge) *discovery { return nil }

func (*discovery) serve(*session, *tunnel.Request) {}
