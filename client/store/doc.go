// Package store keeps a mailbox on this device.
package store
