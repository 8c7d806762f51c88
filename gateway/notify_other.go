//go:build !linux

package main

func reloading() string { return "" }
