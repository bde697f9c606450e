package config

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
)

// maxConfiguration bounds the configuration file, in bytes: fifty thousand real
// servers are a tenth of it.
const maxConfiguration = 64 << 20

// What a mode lets everyone do.
const (
	othersRead  fs.FileMode = 0o004
	othersWrite fs.FileMode = 0o002
)

// readConfiguration is the file's text, and what is to be said about who may
// read it. One that everyone may write is refused: its hooks run with lvsd's
// privileges.
func readConfiguration(path string) (data []byte, warnings []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	mode := info.Mode()
	if mode.IsRegular() && mode&othersWrite != 0 {
		return nil, nil, fmt.Errorf("%s may be written by everyone (mode %04o), and says what lvsd runs: chmod o-w", path, mode.Perm())
	}
	data, err = io.ReadAll(io.LimitReader(f, maxConfiguration+1))
	switch {
	case err != nil:
		return nil, nil, err
	case len(data) > maxConfiguration:
		return nil, nil, fmt.Errorf("%s is longer than %d bytes", path, maxConfiguration)
	}
	if mode.IsRegular() && mode&othersRead != 0 && inlineSecret.Match(data) {
		warnings = append(warnings, fmt.Sprintf(
			"%s holds a password or key and may be read by everyone (mode %04o): chmod o-r, or keep the secret in a file of its own", path, mode.Perm()))
	}
	return data, warnings, nil
}

// inlineSecret finds a line with a secret in it: one of the keys for secrets
// with a string that is no path, or a table of them. It is for advice only, so
// it need not know TOML.
var inlineSecret = regexp.MustCompile(`(?m)^[^#\n]*(\b(password|secret|key) *= *["'][^/"']|\bheaders\b *[]=]|\busers\b *[]=])`)
