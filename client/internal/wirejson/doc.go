// Package wirejson reads and writes the JSON in which page and engine talk (client/api), and no more JSON than that:
// structs with encoding/json's tags (omitempty, omitzero, embedded structs), pointers, slices, strings, bools, integers,
// floats and times. What it writes encoding/json reads, and the other way round; the tests say so for every type of the
// api.
//
// It exists because encoding/json is a tenth of the page: 105 KB after compression, of 950 that it may have.
package wirejson
