package trust

import (
	"testing"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// Every root of the bundle can be read, and the pool is made once.
func TestMozillaRoots(t *testing.T) {
	count := 0
	for range bundle.Roots() {
		count++
	}
	pool := mozilla()
	if n := len(pool.Subjects()); n != count || n < 100 { //lint:ignore SA1019 the pool is ours, not the system's
		t.Errorf("%d roots in the pool, %d in the bundle", n, count)
	}
	if mozilla() != pool {
		t.Error("parsed twice")
	}
}
