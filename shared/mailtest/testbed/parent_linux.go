package testbed

import "syscall"

// endWithParent has a server end when the tests' process does, however that ends: a test that runs out of time cleans
// nothing up.
func endWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGTERM }
