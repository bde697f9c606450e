package main

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func TestHashPassword(t *testing.T) {
	hash := func(input string) (string, error) {
		var out bytes.Buffer
		command := newHashPassword()
		command.SetIn(strings.NewReader(input))
		command.SetOut(&out)
		command.SetErr(&out)
		command.SetArgs(nil)
		command.SilenceErrors, command.SilenceUsage = true, true
		err := command.Execute()
		return out.String(), err
	}
	for _, input := range []string{"correct horse", "correct horse\n", "correct horse\r\nsecond line\n"} {
		text, err := hash(input)
		if err != nil {
			t.Fatalf("%q: %v", input, err)
		}
		if err := bcrypt.CompareHashAndPassword([]byte(strings.TrimSpace(text)), []byte("correct horse")); err != nil {
			t.Errorf("%q: %q: %v", input, text, err)
		}
	}
	for _, input := range []string{"", "\n", "short", strings.Repeat("x", longestPassword+1)} {
		if text, err := hash(input); err == nil || text != "" {
			t.Errorf("%q is taken: %q", input, text)
		}
	}
}
