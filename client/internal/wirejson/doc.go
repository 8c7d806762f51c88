// Package wirejson reads and writes the JSON in which page and engine talk (client/api), and no more JSON than that:
// structs with encoding/json's tags (omitempty, omitzero, embedded structs), pointers, slices, strings, bools, integers,
// floats and times. What it writes encoding/json reads, and the other way round; the tests say so for every type of the
// api.
//
// It exists because of the page's budget of 950 KB: with encoding/json in its place the page weighs 975 KB after
// compression, with this 920 (Go 1.26). It reads as strictly as encoding/json (RFC 8259; RFC 3339 for times), which a fuzz
// target holds it against. On purpose it differs in four ways: names are compared exactly, a name that comes twice is read
// anew, nesting ends at a hundred levels, and times are those of RFC 3339 alone.
package wirejson
