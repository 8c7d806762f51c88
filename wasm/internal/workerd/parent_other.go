//go:build !linux

package workerd

import "os/exec"

func endWithParent(*exec.Cmd) {}
