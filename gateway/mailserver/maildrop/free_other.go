//go:build !(linux || darwin || windows)

package maildrop

import "errors"

// Free is not known here.
func (osDisk) Free(string) (int64, error) { return 0, errors.ErrUnsupported }
