package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxSize is how many bytes a file may have.
const maxSize = 1 << 20

// shape is what a node is.
type shape uint8

const (
	nothing shape = iota // an empty value
	scalar
	list
	mapping
)

func (s shape) String() string { return [...]string{"nothing", "a value", "a list", "a mapping"}[s] }

// node is a value of the file, and where it stands.
type node struct {
	Place
	shape shape
	tag   string // of a scalar: !!int and so on
	text  string // of a scalar
	items []*node
	keys  []entry
}

// entry is a key of a mapping, with its value.
type entry struct {
	Place
	key   string
	value *node
}

func (n *node) get(key string) *node {
	for _, e := range n.keys {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// with returns n with the value of key in place of its own, if it has one.
func (n *node) with(key string, value *node) *node {
	fresh := &node{Place: n.Place, shape: mapping}
	for _, e := range n.keys {
		if e.key != key {
			fresh.keys = append(fresh.keys, e)
		}
	}
	fresh.keys = append(fresh.keys, entry{Place: value.Place, key: key, value: value})
	return fresh
}

// String is for people: the value in one line.
func (n *node) String() string {
	parts := make([]string, 0, len(n.items)+len(n.keys))
	switch n.shape {
	case list:
		for _, item := range n.items {
			parts = append(parts, item.String())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case mapping:
		for _, e := range n.keys {
			parts = append(parts, e.key+": "+e.value.String())
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return n.text
}

// yamlReader makes nodes of bytes.
type yamlReader struct {
	faults *faults
	place  func(line, column int) Place
}

// parse returns the one document of data; nil if there is none, and then a fault says so.
func (p *yamlReader) parse(data []byte) *node {
	if len(data) > maxSize {
		p.faults.add(p.place(0, 0), "", "has %d bytes, more than %d", len(data), maxSize)
		return nil
	}
	if json.Valid(data) { // YAML minds tabs, which in JSON are never part of a text
		data = bytes.ReplaceAll(data, []byte("\t"), []byte(" "))
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		p.faults.add(p.place(0, 0), "", "is empty")
		return nil
	case err != nil:
		p.syntax(err)
		return nil
	}
	switch err := d.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		p.syntax(err)
		return nil
	default:
		p.faults.add(p.place(second.Line, second.Column), "", "a second document: one file is one document")
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		p.faults.add(p.place(0, 0), "", "is empty")
		return nil
	}
	return p.node(doc.Content[0], "")
}

// syntax adds a fault for what the parser says, which begins with the line if it is known.
func (p *yamlReader) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if m := regexp.MustCompile(`(?s)^line (\d+): (.*)`).FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = m[2]
	}
	p.faults.keep(&Fault{Place: p.place(line, 0), Problem: "is no YAML: " + text, Err: err})
}

func (p *yamlReader) node(y *yaml.Node, path string) *node {
	n := &node{Place: p.place(y.Line, y.Column)}
	if y.Anchor != "" {
		p.faults.add(n.Place, path, "has an anchor, &%s: each value is written where it is used", y.Anchor)
	}
	switch y.Kind {
	case yaml.MappingNode:
		n.shape = mapping
		p.mapping(n, y, path)
	case yaml.SequenceNode:
		n.shape = list
		for i, item := range y.Content {
			n.items = append(n.items, p.node(item, path+"["+strconv.Itoa(i)+"]"))
		}
	case yaml.ScalarNode:
		n.shape, n.tag, n.text = scalar, y.ShortTag(), y.Value
		if n.tag == "!!null" {
			n.shape = nothing
		}
	default:
		p.faults.add(n.Place, path, "is an alias, *%s: each value is written where it is used", y.Value)
	}
	return n
}

func (p *yamlReader) mapping(n *node, y *yaml.Node, path string) {
	first := map[string]Place{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, at := y.Content[i], p.place(y.Content[i].Line, y.Content[i].Column)
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			p.faults.add(at, path, "has a key that is no name")
			continue
		}
		if before, twice := first[key.Value]; twice {
			p.faults.add(at, join(path, key.Value), "is there twice, first at %v", before)
			continue
		}
		first[key.Value] = at
		n.keys = append(n.keys, entry{Place: at, key: key.Value, value: p.node(y.Content[i+1], join(path, key.Value))})
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// scan reads a scalar as YAML does.
func (n *node) scan(into any) error {
	y := yaml.Node{Kind: yaml.ScalarNode, Tag: n.tag, Value: n.text}
	return y.Decode(into)
}
