package ui

//go:generate go tool vugugen -s -skip-main -skip-go-mod .
//go:generate go run ../internal/compact 0_components_gen.go
