// Package wire is what a Postern client and a Postern gateway say to each other.
package wire
