package mail

func Compose(d Draft) ([]byte, error) { return nil, nil }
func NewMessageID(domain string) string { return "" }
