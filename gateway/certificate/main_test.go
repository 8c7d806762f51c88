package certificate

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-mail/postern/gateway/certificate/acmetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, acmetest.Lasting()...) }
