package platform

import "testing"

func TestHarmless(t *testing.T) {
	const octets = "application/octet-stream"
	for in, want := range map[string]string{
		"image/png": "image/png", "IMAGE/JPEG; name=x": "image/jpeg", "application/pdf": "application/pdf", "text/plain; charset=utf-8": "text/plain",
		"text/html": octets, "image/svg+xml": octets, "application/xhtml+xml": octets, "text/xml": octets, "application/javascript": octets,
		"": octets, "nonsense": octets, "message/rfc822": "message/rfc822",
	} {
		if got := harmless(in); got != want {
			t.Errorf("%q is saved as %q, want %q", in, got, want)
		}
	}
}
