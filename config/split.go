package config

import (
	"bytes"
	"errors"

	"github.com/BurntSushi/toml"
)

// A large file is nearly all virtual services, and decoded it takes many times
// its size. So each [[virtual_service]] is decoded when it is read, on its own,
// and forgotten.
//
// Where the text may be cut is guessed from its lines. That the guess was right
// shows: a cut within a string or an array leaves a piece in front that is not
// TOML, and a piece that depends on another names a table that is not there or
// has a key that is there. The text is then decoded as a whole, which also has
// the error at its place.

const serviceKey = "virtual_service"

// errWhole is the result of decoding a piece of a text that cannot be cut.
var errWhole = errors.New("not to be decoded in pieces")

// split cuts the text into its virtual services and the rest. A service ends
// where a table begins that is not within it.
func split(text []byte) (rest []byte, services [][]byte) {
	start, inService := 0, false
	cut := func(at int) {
		if inService {
			services = append(services, text[start:at])
		} else {
			rest = append(rest, text[start:at]...)
		}
		start = at
	}
	for at := 0; at < len(text); at += lineLength(text[at:]) {
		line := bytes.TrimLeft(text[at:at+lineLength(text[at:])], " \t")
		switch {
		case !bytes.HasPrefix(line, []byte("[")):
		case bytes.HasPrefix(line, []byte("[["+serviceKey+"]]")):
			cut(at)
			inService = true
		case inService && !bytes.HasPrefix(bytes.TrimLeft(line, "["), []byte(serviceKey+".")):
			cut(at)
			inService = false
		}
	}
	cut(len(text))
	return rest, services
}

// lineLength is the length of the first line with its end.
func lineLength(text []byte) int {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return i + 1
	}
	return len(text)
}

// decodeRest decodes all but the services.
func decodeRest(rest []byte) (map[string]any, error) {
	var root map[string]any
	if err := toml.Unmarshal(rest, &root); err != nil {
		return nil, err
	}
	if _, ok := root[serviceKey]; ok {
		return nil, errWhole
	}
	return root, nil
}

// decodeService decodes one service.
func decodeService(text []byte) (map[string]any, error) {
	var root map[string]any
	if err := toml.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	tables, ok := root[serviceKey].([]map[string]any)
	if !ok || len(root) != 1 || len(tables) != 1 {
		return nil, errWhole
	}
	return tables[0], nil
}
