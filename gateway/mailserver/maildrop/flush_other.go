//go:build !linux

package maildrop

// Flush flushes the files one by one: there is no call for many.
func (d osDisk) Flush(_ string, files []string) error { return d.flushEach(files) }
