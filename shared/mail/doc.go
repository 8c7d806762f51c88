// Package mail reads and writes messages.
package mail
