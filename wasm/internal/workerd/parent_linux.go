package workerd

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel end it when whoever started it is killed.
func endWithParent(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
