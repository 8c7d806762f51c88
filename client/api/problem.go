package api

import (
	"context"
	"errors"
)

// AsProblem is err as it crosses to the page: itself when it is or wraps a *Problem, CodeCanceled when the caller's
// context ended, else CodeInternal with the error's words as Technical. It is nil for nil.
func AsProblem(err error) *Problem {
	if err == nil {
		return nil
	}
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &Problem{Code: CodeCanceled, Technical: err.Error()}
	}
	return &Problem{Code: CodeInternal, Technical: err.Error()}
}
