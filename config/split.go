package config

import (
	"bytes"
	"errors"
	"iter"

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
	for at, header := range headers(text) {
		switch {
		case bytes.HasPrefix(header, []byte("[["+serviceKey+"]]")):
			cut(at)
			inService = true
		case inService && !bytes.HasPrefix(bytes.TrimLeft(header, "["), []byte(serviceKey+".")):
			cut(at)
			inService = false
		}
	}
	cut(len(text))
	return rest, services
}

// headers are the lines that start with a bracket: the offset of each, and the
// text from its bracket on.
func headers(text []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for end := 0; ; {
			i := bytes.IndexByte(text[end:], '[')
			if i < 0 {
				return
			}
			bracket := end + i
			line := bracket
			for line > end && (text[line-1] == ' ' || text[line-1] == '\t') {
				line--
			}
			if (line == 0 || text[line-1] == '\n') && !yield(line, text[bracket:]) {
				return
			}
			for end = bracket; end < len(text) && text[end] == '['; {
				end++
			}
		}
	}
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
func decodeService(text string) (map[string]any, error) {
	root, ok := decodePlain(text)
	if !ok {
		if _, err := toml.Decode(text, &root); err != nil {
			return nil, err
		}
	}
	tables, ok := root[serviceKey].([]map[string]any)
	if !ok || len(root) != 1 || len(tables) != 1 {
		return nil, errWhole
	}
	return tables[0], nil
}
