package config

import (
	_ "embed" // the comments of the fields
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"time"

	"github.com/bulwark-go/bulwark/patterns/pipeline"
)

// comments are those of the fields, by package.type.field, as a test has written them.
//
//go:embed comments.json
var comments []byte

// object is a JSON object.
type object = map[string]any

// Schema returns the JSON Schema, of draft 2020-12, of the files that Parse reads. It is
// made of the patterns' Config types. What it refuses Parse refuses; Parse refuses more, as
// a schema cannot say that one setting needs another.
func Schema() []byte {
	w := &schemaWriter{catalog: newCatalog(), defs: object{}, comments: map[string]string{}}
	if err := json.Unmarshal(comments, &w.comments); err != nil {
		panic(err) // it is part of this package
	}
	text, err := json.MarshalIndent(w.file(), "", "  ")
	if err != nil {
		panic(err) // it is made of strings and numbers
	}
	return append(text, '\n')
}

type schemaWriter struct {
	*catalog
	defs     object
	comments map[string]string
}

func (w *schemaWriter) file() object {
	name := object{"pattern": fmt.Sprintf("^[A-Za-z0-9][A-Za-z0-9_.-]{0,%d}$", maxName-1)}
	patterns := object{}
	for _, k := range w.kinds {
		patterns[k.name] = w.structure(k.name, k.wire)
	}
	return object{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "Bulwark: guards and pipelines",
		"type":    "object",
		"properties": object{
			"$schema": object{"type": "string", "description": "Where this schema is, for editors."},
			"guards": object{
				"type": "object", "description": "Guards by name, each with its pattern.", "minProperties": 1, "propertyNames": name,
				"additionalProperties": exactlyOne(patterns),
			},
			"pipelines": object{
				"type": "object", "description": "Pipelines by name, each a list of guards and pipelines, outermost first.", "propertyNames": name,
				"additionalProperties": object{
					"type": "array", "items": object{"type": "string"}, "minItems": 1, "maxItems": pipeline.MaxGuards, "uniqueItems": true,
				},
			},
		},
		"required": []string{"guards"}, "additionalProperties": false,
		"$defs": w.defs,
	}
}

// exactlyOne is a mapping of one of the properties.
func exactlyOne(properties object) object {
	return object{"type": "object", "properties": properties, "additionalProperties": false, "minProperties": 1, "maxProperties": 1}
}

// structure returns a reference to the definition of t, which it enters.
func (w *schemaWriter) structure(name string, t reflect.Type) object {
	ref := object{"$ref": "#/$defs/" + name}
	if w.defs[name] != nil {
		return ref
	}
	w.defs[name] = object{} // it may be a part of itself
	properties := object{}
	for _, f := range w.fieldsOf(t) {
		properties[f.key] = w.field(f)
	}
	w.defs[name] = object{"type": "object", "properties": properties, "additionalProperties": false}
	return ref
}

func (w *schemaWriter) field(f field) object {
	all := w.wordsOf(f)
	schema := object{"anyOf": []object{w.value(f.typ, all), {"enum": all.names()}}}
	if about := w.comments[commentKey(f.of, f.name)]; about != "" {
		schema["description"] = about
	}
	return schema
}

func commentKey(of reflect.Type, name string) string {
	return path.Base(of.PkgPath()) + "." + of.Name() + "." + name
}

// value is the schema of a t without its words.
func (w *schemaWriter) value(t reflect.Type, all words) object {
	if m, ok := w.made[t]; ok {
		return w.value(m.from, nil)
	}
	if types, ok := w.choices[t]; ok {
		names, properties := make([]string, len(types)), object{}
		for i, one := range types {
			names[i] = snake(one.Name())
			properties[names[i]] = w.structure(path.Base(one.PkgPath())+"."+names[i], one)
		}
		return object{"anyOf": []object{{"enum": names}, exactlyOne(properties)}}
	}
	if about, ok := w.texts[t]; ok {
		return about.schema()
	}
	least := "exclusiveMinimum"
	if all.zero() {
		least = "minimum"
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return object{"type": "string", "pattern": "^\\+?(" + duration + ")+$"}
	case t.Kind() == reflect.Bool:
		return object{"type": "boolean"}
	case t.Kind() == reflect.Float64:
		return object{"type": "number", least: 0}
	case t.Kind() == reflect.String:
		return object{"type": "string"}
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": w.value(t.Elem(), nil), "minItems": 1}
	case t.Kind() == reflect.Map:
		return object{"type": "object", "additionalProperties": w.value(t.Elem(), nil), "minProperties": 1}
	}
	return object{"type": "integer", least: 0}
}

func (t text) schema() object {
	schema := object{"type": "string"}
	if t.oneOf != nil {
		schema = object{"enum": slices.Clone(t.oneOf)}
	} else {
		schema["pattern"] = "^(" + t.pattern + ")$"
	}
	also := []object{schema}
	if t.number {
		also = append(also, object{"type": "integer", "exclusiveMinimum": 0})
	}
	if t.share {
		also = append(also, object{"type": "number", "exclusiveMinimum": 0, "maximum": 1})
	}
	if t.list {
		also = append(also, object{"type": "array", "items": maps.Clone(schema), "minItems": 1})
	}
	if len(also) == 1 {
		return schema
	}
	return object{"anyOf": also}
}
