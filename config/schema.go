package config

import _ "embed"

//go:embed schema.json
var schema []byte

// Schema is a JSON Schema (draft 7) of the file, for editors: keys, types, ranges and
// names, with the words of the reference. What it refuses Parse refuses too; Parse
// also knows what belongs together.
func Schema() []byte { return schema }
