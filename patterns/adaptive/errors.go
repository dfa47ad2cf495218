package adaptive

import "fmt"

// ConfigError is one fault of a Config, or of an operator's command.
type ConfigError struct {
	Field   string
	Value   any
	Problem string
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("adaptive: %s %v: %s", e.Field, e.Value, e.Problem)
}
