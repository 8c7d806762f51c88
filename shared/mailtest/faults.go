package mailtest

// Faults is how a connection misbehaves towards its reader. The zero value does not.
type Faults struct {
	// CutAfter closes the connection after that many octets; 0 for never, -1 for before the first.
	CutAfter int64
	// StallAfter delivers nothing more after that many octets, and does not close; 0 for never, -1 for before the first.
	StallAfter int64
	// Packet is the most one read returns; 0 for no limit, 1 for every octet by itself.
	Packet int
	// SplitAt ends a read at these offsets into the conversation, ascending.
	SplitAt []int64
	// Gather holds octets back until that many can be read at once. It is for servers whose answers are all known
	// beforehand: a dialogue would stand still.
	Gather int
}

type verdict int

const (
	goOn verdict = iota
	stallHere
	cutHere
)

// allow says how many of have octets a read of want may take, after octets were read before it.
func (f *Faults) allow(octets int64, have, want int) (int, verdict) {
	n := min(have, want)
	if f == nil {
		return n, goOn
	}
	if f.Gather > 0 && octets < int64(f.Gather) && octets+int64(have) < int64(f.Gather) {
		return 0, goOn
	}
	if f.Packet > 0 {
		n = min(n, f.Packet)
	}
	for _, at := range f.SplitAt {
		if at > octets {
			n = int(min(int64(n), at-octets))
			break
		}
	}
	if f.CutAfter != 0 {
		left := max(f.CutAfter, 0) - octets
		if left <= 0 {
			return 0, cutHere
		}
		n = int(min(int64(n), left))
	}
	if f.StallAfter != 0 {
		left := max(f.StallAfter, 0) - octets
		if left <= 0 {
			return 0, stallHere
		}
		n = int(min(int64(n), left))
	}
	return n, goOn
}
