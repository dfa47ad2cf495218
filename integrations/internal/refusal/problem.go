package refusal

import (
	"encoding/json"
	"net/http"
)

// ContentType is that of a problem.
const ContentType = "application/problem+json"

// problem is the members of RFC 9457 that are of use, and one more: reason, which is one of
// the Kinds.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Reason string `json:"reason"`
}

// Problems are the bodies of all responses, made once.
type Problems struct{ bodies [kinds][]byte }

// NewProblems returns the bodies, where late is the status of what took too long.
func NewProblems(late int) *Problems {
	p := new(Problems)
	for k := range kinds {
		s := status(k, late)
		body, err := json.Marshal(problem{"about:blank", http.StatusText(s), s, detail(k), k.String()})
		if err != nil {
			panic(err) // strings and a number
		}
		p.bodies[k] = append(body, '\n')
	}
	return p
}

// Body is that of a response to a refusal of a kind. It must not be changed.
func (p *Problems) Body(k Kind) []byte { return p.bodies[k] }

func detail(k Kind) string {
	switch k {
	case RateLimited:
		return "Too many requests were made. Try again later."
	case Overloaded:
		return "The service has too much to do. Try again later."
	case Unavailable:
		return "The service is not available at the moment. Try again later."
	case TimedOut:
		return "The request took too long."
	case Invalid:
		return "The request can not be granted, now or later."
	}
	return "The request could not be completed."
}
