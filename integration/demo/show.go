package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	// width is how many columns the text may take.
	width  = 100
	indent = "  "
	// gap separates the columns of a table.
	gap = "  "
)

// The colours of a terminal.
const (
	bold  = "\x1b[1m"
	red   = "\x1b[31m"
	green = "\x1b[32m"
	cyan  = "\x1b[36m"
	plain = "\x1b[0m"
)

// A screen prints for a person. What cannot be printed has no one to read it:
// its methods return no errors.
type screen struct {
	w      io.Writer
	colour bool
	// pause gives time to read.
	pause func()
}

func (s *screen) line(text string) { _, _ = fmt.Fprintln(s.w, text) }

func (s *screen) paint(colour, text string) string {
	if !s.colour {
		return text
	}
	return colour + text + plain
}

// title begins a part.
func (s *screen) title(text string) {
	rule := strings.Repeat("=", max(0, width-len("== ")-len(text)-1))
	s.line("\n" + s.paint(bold, "== "+text+" "+rule))
}

// say prints a paragraph.
func (s *screen) say(format string, args ...any) {
	s.line("")
	for paragraph := range strings.Lines(fmt.Sprintf(format, args...)) {
		for _, line := range wrap(paragraph, width) {
			s.line(line)
		}
	}
}

// command prints a command line, where it ran and what it printed.
func (s *screen) command(host, command, output string) {
	s.line("")
	s.line(indent + s.paint(cyan, host+"$ "+command))
	for line := range strings.Lines(output) {
		for _, part := range fold(strings.TrimRight(line, " \n"), width-len(indent)) {
			s.line(strings.TrimRight(indent+part, " "))
		}
	}
}

// verdict ends a step.
func (s *screen) verdict(result, seen string) {
	s.say("%s: %s", s.result(result), seen)
}

// result is the result in its colour.
func (s *screen) result(result string) string {
	if result == resultOK {
		return s.paint(green, result)
	}
	return s.paint(red, result)
}

// table prints rows under the first one. Column i takes at most limits[i]
// columns, and as many lines as that makes; the others take what they need.
func (s *screen) table(rows [][]string, limits ...int) {
	s.line("")
	widths, cells := layOut(rows, limits)
	for i, row := range cells {
		for _, line := range rowLines(row, widths) {
			if i == 0 {
				line = s.paint(bold, line)
			}
			for _, result := range []string{resultOK, resultFailed, resultNotRun} {
				if strings.HasSuffix(line, gap+result) {
					line = strings.TrimSuffix(line, result) + s.result(result)
				}
			}
			s.line(line)
		}
	}
}

// layOut wraps every cell and returns how wide each column is.
func layOut(rows [][]string, limits []int) (widths []int, cells [][][]string) {
	widths = make([]int, len(rows[0]))
	for _, row := range rows {
		wrapped := make([][]string, len(row))
		for i, text := range row {
			limit := width
			if i < len(limits) {
				limit = limits[i]
			}
			wrapped[i] = wrap(text, limit)
			for _, line := range wrapped[i] {
				widths[i] = max(widths[i], utf8.RuneCountInString(line))
			}
		}
		cells = append(cells, wrapped)
	}
	return widths, cells
}

// rowLines are the lines of one row.
func rowLines(row [][]string, widths []int) []string {
	height := 0
	for _, cell := range row {
		height = max(height, len(cell))
	}
	lines := make([]string, height)
	for n := range lines {
		var b strings.Builder
		for i, cell := range row {
			text := ""
			if n < len(cell) {
				text = cell[n]
			}
			fmt.Fprintf(&b, "%-*s%s", widths[i], text, gap)
		}
		lines[n] = strings.TrimRight(b.String(), " ")
	}
	return lines
}

// wrap breaks text at spaces into lines of at most columns runes; a longer word
// is broken where it must be.
func wrap(text string, columns int) []string {
	var lines []string
	line, used := "", 0
	for _, word := range strings.Fields(text) {
		runes := []rune(word)
		if used > 0 && used+1+len(runes) <= columns {
			line, used = line+" "+word, used+1+len(runes)
			continue
		}
		if used > 0 {
			lines = append(lines, line)
		}
		for len(runes) > columns {
			lines, runes = append(lines, string(runes[:columns])), runes[columns:]
		}
		line, used = string(runes), len(runes)
	}
	return append(lines, line)
}

// fold breaks a line of a program's output, preferably at a space; what is
// continued is set in.
func fold(line string, columns int) []string {
	const in = "        "
	var parts []string
	runes := []rune(line)
	for len(runes) > columns {
		at := columns
		for i := columns; i > columns/2; i-- {
			if runes[i] == ' ' {
				at = i
				break
			}
		}
		parts = append(parts, strings.TrimRight(string(runes[:at]), " "))
		runes = []rune(in + strings.TrimLeft(string(runes[at:]), " "))
	}
	return append(parts, string(runes))
}
