//go:build unix && !linux

package testbed

import "syscall"

// endWithParent cannot be had here: a test that is killed leaves its servers running.
func endWithParent(*syscall.SysProcAttr) {}
