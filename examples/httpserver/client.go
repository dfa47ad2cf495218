package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// client asks the shop.
type client struct {
	http http.Client
	url  string
}

// reply is what it got.
type reply struct {
	status int
	header http.Header
	body   string
}

func (c *client) request(ctx context.Context, path string, headers ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return c.http.Do(r)
}

func (c *client) get(ctx context.Context, path string, headers ...string) (reply, error) {
	response, err := c.request(ctx, path, headers...)
	if err != nil {
		return reply{}, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	return reply{response.StatusCode, response.Header, strings.TrimSpace(string(body))}, err
}

// show prints an answer, and some of its headers.
func (c *client) show(ctx context.Context, path string, headers ...string) error {
	got, err := c.get(ctx, path)
	if err != nil {
		return err
	}
	line := fmt.Sprintf("%-8s %d  %s", path, got.status, got.text())
	for _, name := range headers {
		if v := got.header.Get(name); v != "" {
			line += fmt.Sprintf("; %s: %s", name, v)
		}
	}
	if seconds, err := strconv.Atoi(got.header.Get("Retry-After")); err == nil {
		wait := time.Duration(seconds) * time.Second
		if wait > 10*time.Second { // this machine may be slow
			wait = wait.Round(10 * time.Second)
		}
		line += fmt.Sprintf("; come again in %v", wait)
	}
	fmt.Println(line)
	return nil
}

// text is the body, and of a problem the reason.
func (r *reply) text() string {
	var problem struct{ Title, Reason string }
	if r.header.Get("Content-Type") != "application/problem+json" || json.Unmarshal([]byte(r.body), &problem) != nil {
		return r.body
	}
	return problem.Title + " (" + problem.Reason + ")"
}

// events is a stream that is open.
type events struct {
	body  io.ReadCloser
	lines *bufio.Reader
}

func (c *client) open(ctx context.Context, path string) (*events, error) {
	response, err := c.request(ctx, path)
	if err != nil {
		return nil, err
	}
	return &events{response.Body, bufio.NewReader(response.Body)}, nil
}

func (e *events) next() (string, error) {
	line, err := e.lines.ReadString('\n')
	return strings.TrimPrefix(strings.TrimSpace(line), "data: "), err
}

// end reads on to the stream's end.
func (e *events) end() error {
	_, err := io.Copy(io.Discard, e.lines)
	_ = e.body.Close()
	return err
}
