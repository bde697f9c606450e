package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/getkin/kin-openapi/openapi3"
)

// object is a JSON object.
type object = map[string]any

// TestSchema wants config/schema.json to be what the code's own table of keys and the
// Meaning column of the reference make of it.
func TestSchema(t *testing.T) {
	data, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	accepted, _ := acceptedKeys(t)
	b := schemaBuilder{keys: accepted, meanings: make(map[string]string)}
	for _, row := range keyRows(string(data)) {
		b.meanings[keyOf(row)] = plainText(row[5])
	}
	root := b.table("")
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "Configuration of lvsd"
	text, err := json.MarshalIndent(root, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "schema.json", string(text)+"\n")
}

// schemaBuilder makes a schema of a table of keys.
type schemaBuilder struct {
	keys map[string]keySpec
	// meanings are the words of the reference by key.
	meanings map[string]string
}

// table is the schema of the table whose keys begin with the prefix.
func (b schemaBuilder) table(above string) object {
	properties := object{}
	for _, place := range []string{firstPlace.Replace(above), above} {
		for key, spec := range b.keys {
			name, below := strings.CutPrefix(key, place)
			if !below || strings.Contains(name, ".") || name == "node" {
				continue
			}
			properties[name] = b.value(key, spec)
			if meaning := b.meanings[sameKey(key)]; meaning != "" {
				properties[name].(object)["description"] = meaning
			}
		}
	}
	if _, overridden := b.keys[above+"node"]; overridden && above != "" {
		properties["node"] = object{
			"type": "object", "description": b.meanings[above+"node"],
			// What cannot be overridden is left to lvsd check.
			"additionalProperties": object{"type": "object", "additionalProperties": true},
		}
	}
	return object{"type": "object", "additionalProperties": false, "properties": properties}
}

// value is the schema of what stands under a key.
func (b schemaBuilder) value(key string, spec keySpec) object {
	element, isList := strings.CutPrefix(spec.kind, "list of ")
	switch {
	case spec.kind == "array of tables" && slices.Contains(oneOrMore, key):
		return either(b.table(key+"."), listOfSchema(b.table(key+".")))
	case spec.kind == "array of tables":
		return listOfSchema(b.table(key + "."))
	case isList && strings.HasSuffix(spec.allowed, " or table"):
		return listOfSchema(either(ofType("string"), b.table(key+".")))
	case isList:
		return listOfSchema(scalar(element, spec.allowed))
	case spec.kind == "table":
		return b.table(key + ".")
	case strings.HasPrefix(spec.kind, "table of "):
		return object{"type": "object", "additionalProperties": scalar(strings.TrimPrefix(spec.kind, "table of "), "")}
	}
	one := scalar(spec.kind, spec.allowed)
	var fallback any
	if json.Unmarshal([]byte(spec.fallback), &fallback) == nil && spec.fallback != "" {
		one["default"] = fallback
	} else if spec.kind == "duration" && durations.MatchString(spec.fallback) {
		one["default"] = spec.fallback
	}
	return one
}

// firstPlace turns a table that is the same in several places into its first: the
// references have each key in one of them only.
var firstPlace = strings.NewReplacer(
	"virtual_service.real_server.check.", "virtual_service.check.",
	"tracker.check.", "virtual_service.check.",
	"sync_group.notify.", "vrrp.notify.",
	"sync_group.track.", "vrrp.track.",
	"vrrp.excluded_vips.", "vrrp.vips.",
)

// oneOrMore are the arrays of tables that may be a single table too.
var oneOrMore = []string{"virtual_service.check", "virtual_service.real_server.check"}

var (
	durations = regexp.MustCompile(durationPattern)
	span      = regexp.MustCompile(`^(-?[0-9]+)\.\.(-?[0-9]+)$`)
	names     = regexp.MustCompile(`^[a-z0-9.-]+(, [a-z0-9.-]+)+$`)
)

const durationPattern = `^([0-9]+(\.[0-9]+)?(h|m|s|ms|us|ns))+$`

// scalar is the schema of one value, by the words of the reference.
func scalar(kind, allowed string) object {
	switch {
	case kind == "boolean":
		return ofType("boolean")
	case kind == "duration":
		return object{"type": "string", "pattern": durationPattern}
	case kind == "integer" && span.MatchString(allowed):
		ends := span.FindStringSubmatch(allowed)
		low, _ := strconv.Atoi(ends[1])
		high, _ := strconv.Atoi(ends[2])
		return object{"type": "integer", "minimum": low, "maximum": high}
	case strings.HasPrefix(kind, "string") && names.MatchString(allowed):
		return object{"type": "string", "enum": strings.Split(allowed, ", ")}
	case kind == "boolean or address":
		return either(ofType("boolean"), ofType("string"))
	case kind == "string", kind == "strings", kind == "address", kind == "addresses", kind == "network", kind == "networks",
		kind == "mail address", kind == "mail addresses", kind == "headers":
		return ofType("string")
	default: // numbers that may be written as ranges or names, in quotes
		return either(ofType("integer"), ofType("string"))
	}
}

func ofType(name string) object { return object{"type": name} }

func either(one, other object) object { return object{"anyOf": []object{one, other}} }

func listOfSchema(items object) object { return object{"type": "array", "items": items} }

// plainText is Markdown without its marks.
func plainText(markdown string) string {
	text := regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`).ReplaceAllString(markdown, "$1")
	return strings.TrimSpace(strings.ReplaceAll(text, "`", ""))
}

// conforms is the error of a file that the schema refuses, or nil.
func conforms(t *testing.T, schema *openapi3.Schema, path string) error {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var decoded, value any
	if err := toml.Unmarshal(data, &decoded); err != nil {
		return err
	}
	text, err := json.Marshal(decoded)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return schema.VisitJSON(value)
}

// TestSchemaOnFiles: an editor must not find fault with a valid file, and finds what
// needs no knowledge of the rest of the file.
func TestSchemaOnFiles(t *testing.T) {
	var schema openapi3.Schema
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	good, _ := filepath.Glob("testdata/good/*.toml")
	shown, _ := filepath.Glob("../examples/*/*.toml")
	if len(good) == 0 || len(shown) == 0 {
		t.Fatalf("%d and %d files", len(good), len(shown))
	}
	for _, file := range slices.Concat(good, shown) {
		if err := conforms(t, &schema, file); err != nil {
			reason, _, _ := strings.Cut(err.Error(), "\nSchema:")
			t.Errorf("%s: %s", file, reason)
		}
	}
	for _, name := range []string{
		"cluster", "metrics", "web", "reload", "alerts", "documented", "auth-type", "check-type", "duration", "forwarding", "hmac",
	} {
		if err := conforms(t, &schema, "testdata/bad/"+name+".toml"); err == nil {
			t.Errorf("%s.toml passes", name)
		}
	}
}
