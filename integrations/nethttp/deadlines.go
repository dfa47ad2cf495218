package nethttp

import (
	"net/http"
	"time"
)

// What an http.ResponseController does to the connection. It outlives the request, so that an
// abandoned handler must not reach it any more.

// SetReadDeadline is for an http.ResponseController.
func (w *response) SetReadDeadline(t time.Time) error {
	return http.NewResponseController(w.inner).SetReadDeadline(t)
}

// SetWriteDeadline is for an http.ResponseController.
func (w *response) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(w.inner).SetWriteDeadline(t)
}

// EnableFullDuplex is for an http.ResponseController.
func (w *response) EnableFullDuplex() error {
	return http.NewResponseController(w.inner).EnableFullDuplex()
}

// SetReadDeadline is for an http.ResponseController.
func (a *attempt) SetReadDeadline(t time.Time) error {
	return a.control(func(c *http.ResponseController) error { return c.SetReadDeadline(t) })
}

// SetWriteDeadline is for an http.ResponseController.
func (a *attempt) SetWriteDeadline(t time.Time) error {
	return a.control(func(c *http.ResponseController) error { return c.SetWriteDeadline(t) })
}

// EnableFullDuplex is for an http.ResponseController.
func (a *attempt) EnableFullDuplex() error {
	return a.control((*http.ResponseController).EnableFullDuplex)
}

func (a *attempt) control(f func(*http.ResponseController) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refusal(); err != nil {
		return err
	}
	return f(http.NewResponseController(a.inner))
}
