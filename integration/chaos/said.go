package main

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

const (
	// saidLines is how many lines are kept, saidLength how much of each.
	saidLines  = 3
	saidLength = 110
)

// stamps are what a line begins with: lvsd's time, and keepalived's.
var stamps = regexp.MustCompile(`^(time=\S+ |[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ [\d:]+ \d{4}: )`)

// telling picks the lines of a log that tell most, each once, and counts all.
func telling(log string) (said []string, lines int) {
	type line struct {
		text  string
		grave int
	}
	var all []line
	seen := map[string]bool{}
	for text := range strings.Lines(log) {
		lines++
		text = stamps.ReplaceAllString(strings.TrimSpace(text), "")
		if text == "" || seen[text] {
			continue
		}
		seen[text] = true
		all = append(all, line{text, gravity(text)})
	}
	slices.SortStableFunc(all, func(a, b line) int { return cmp.Compare(b.grave, a.grave) })
	for _, l := range all[:min(saidLines, len(all))] {
		said = append(said, shorten(l.text))
	}
	return said, lines
}

// grave words are of keepalived, whose lines have no level.
var graveWords = regexp.MustCompile(`(?i)error|fail|unable|cannot|invalid|died|respawn|dropped|timed? ?out|expired`)

// ofTheHost is what lvsd says at every start here, whatever is broken.
var ofTheHost = regexp.MustCompile(`kernel parameter is not as needed|checks starved`)

// gravity orders lines: errors, warnings, roles, the rest.
func gravity(line string) int {
	switch {
	case ofTheHost.MatchString(line):
		return 0
	case strings.Contains(line, "level=ERROR"):
		return 3
	case strings.Contains(line, "level=WARN"), !strings.Contains(line, "level=") && graveWords.MatchString(line):
		return 2
	case entering.MatchString(line):
		return 1
	}
	return 0
}

func shorten(line string) string {
	line = strings.NewReplacer("level=", "", "msg=", "", "|", "/").Replace(line)
	if runes := []rune(line); len(runes) > saidLength {
		return string(runes[:saidLength-1]) + "…"
	}
	return line
}
