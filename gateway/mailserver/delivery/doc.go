// Package delivery hands messages to the servers of their recipients: the client side of a mail server.
package delivery
