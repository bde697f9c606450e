package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// kind is a type of value: how it is read from what the decoder gives, and
// what messages and the reference call it.
type kind[T any] struct {
	name string
	// plural is the name for lists of it, if there are any.
	plural string
	// allowed is the range or the list of names; empty when any will do.
	allowed string
	// expected is what messages say should have been there: "an integer 1..9".
	expected string
	parse    func(raw any) (T, error)
	show     func(T) string
}

// wrongType is the error for a value of another TOML type.
func (k kind[T]) wrongType(raw any) error {
	return fmt.Errorf("%s, expected %s", describe(raw), k.expected)
}

// describe says what a value is: `"abc" is a string`.
func describe(raw any) string {
	switch v := raw.(type) {
	case string:
		return fmt.Sprintf("%q is a string", v)
	case int64:
		return fmt.Sprintf("%d is an integer", v)
	case float64:
		return fmt.Sprintf("%v is a float", v)
	case bool:
		return fmt.Sprintf("%t is a boolean", v)
	case time.Time:
		return "is a date or time"
	case map[string]any:
		return "is a table"
	default:
		return "is an array"
	}
}

// boolean is true or false.
func boolean() kind[bool] {
	k := kind[bool]{name: "boolean", allowed: "true or false", expected: "true or false", show: strconv.FormatBool}
	k.parse = func(raw any) (bool, error) {
		if v, ok := raw.(bool); ok {
			return v, nil
		}
		return false, k.wrongType(raw)
	}
	return k
}

// integer is a number from low to high, both included.
func integer(low, high int) kind[int] {
	k := kind[int]{name: "integer", allowed: fmt.Sprintf("%d..%d", low, high), show: strconv.Itoa}
	k.expected = "an integer " + k.allowed
	k.parse = func(raw any) (int, error) {
		v, ok := raw.(int64)
		switch {
		case !ok:
			return 0, k.wrongType(raw)
		case v < int64(low) || v > int64(high):
			return 0, fmt.Errorf("%d is out of range, expected %s", v, k.expected)
		}
		return int(v), nil
	}
	return k
}

// duration is a time with its unit, from low to high, a multiple of step.
func duration(low, high, step time.Duration) kind[time.Duration] {
	k := kind[time.Duration]{
		name: "duration", show: formatDuration,
		allowed: formatDuration(low) + ".." + formatDuration(high),
	}
	k.expected = "a duration " + k.allowed
	k.parse = func(raw any) (time.Duration, error) {
		text, ok := raw.(string)
		if !ok {
			return 0, fmt.Errorf("%s, expected a duration with its unit in quotes, such as %q", describe(raw), withUnit(fmt.Sprint(raw)))
		}
		v, err := time.ParseDuration(text)
		switch {
		case err != nil || text == "0":
			return 0, fmt.Errorf("%q is not a duration, expected a number with its unit, such as %q", text, withUnit(text))
		case v < low || v > high:
			return 0, fmt.Errorf("%q is out of range, expected %s", text, k.expected)
		case v%step != 0:
			return 0, fmt.Errorf("%q is too fine, expected a multiple of %s", text, formatDuration(step))
		}
		return v, nil
	}
	return k
}

// withUnit is the duration that was probably meant by a number without a unit,
// or by one of days, which there is none for.
func withUnit(text string) string {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return fmt.Sprintf("%dh", 24*n)
		}
	}
	if _, err := strconv.ParseUint(text, 10, 32); err != nil {
		return "500ms"
	}
	return text + "s"
}

// formatDuration writes a duration with one unit where it can: 60s, not 1m0s.
func formatDuration(d time.Duration) string {
	switch {
	case d != 0 && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Second == 0:
		return fmt.Sprintf("%ds", d/time.Second)
	case d%time.Millisecond == 0:
		return fmt.Sprintf("%dms", d/time.Millisecond)
	default:
		return d.String()
	}
}

// text is a string that check accepts; check's error says what was expected.
func text(allowed, expected string, check func(string) error) kind[string] {
	k := kind[string]{name: "string", plural: "strings", allowed: allowed, expected: expected, show: strconv.Quote}
	k.parse = func(raw any) (string, error) {
		v, ok := raw.(string)
		if !ok {
			return "", k.wrongType(raw)
		}
		if err := check(v); err != nil {
			return "", err
		}
		return v, nil
	}
	return k
}

// label is a name for people: not empty, on one line.
func label() kind[string] {
	return text("", "a name in quotes", func(s string) error {
		if s == "" || strings.ContainsFunc(s, unicode.IsControl) {
			return fmt.Errorf("%q is not a name, expected at least one character and no control characters", s)
		}
		return nil
	})
}

// word is a name for a protocol: printable ASCII without spaces.
func word() kind[string] { return text("", "a string", checkWord) }

func checkWord(s string) error {
	if !isWord(s) {
		return fmt.Errorf("%q is not usable here, expected printable ASCII without spaces", s)
	}
	return nil
}

func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// choice is one of some names.
func choice(names ...string) kind[string] {
	listed := strings.Join(names, ", ")
	k := text(listed, "one of "+listed, nil)
	if len(names) == 1 {
		k.expected = strconv.Quote(listed)
	}
	k.parse = func(raw any) (string, error) {
		v, ok := raw.(string)
		if !ok {
			return "", k.wrongType(raw)
		}
		// The name as it stands here: the file's would keep its text in memory.
		if i := slices.Index(names, v); i >= 0 {
			return names[i], nil
		}
		message := fmt.Sprintf("%q is unknown, expected %s", v, k.expected)
		if near := nearest(v, names); near != "" && len(names) > 1 {
			message += fmt.Sprintf("; nearest is %q", near)
		}
		return "", errors.New(message)
	}
	return k
}
