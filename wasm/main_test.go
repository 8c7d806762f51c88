package wasm

import (
	"testing"

	"go.uber.org/goleak"
)

// root is the module's folder: tests run in their package's.
const root = ".."

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
