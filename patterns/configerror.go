package patterns

import "fmt"

// ConfigError is one fault of a Config, or of an operator's command. Validate returns
// all of them at once, joined.
type ConfigError struct {
	Pattern string // the package's name
	Field   string
	Value   any
	Problem string
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("%s: %s %v: %s", e.Pattern, e.Field, e.Value, e.Problem)
}
