package config

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// documentFile is where the reference of all keys is.
const documentFile = "../docs/configuration.md"

// explainMe stands in a row that -update made, until somebody writes its Meaning.
const explainMe = "TODO"

// TestDocumentHasEveryKey wants one row for each key, with its type, range and
// default as the code has them, and none for others. With -update it writes those
// cells, adds rows that lack and removes those of keys that are gone; Meaning and
// Reload are left as they are.
func TestDocumentHasEveryKey(t *testing.T) {
	data, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	keys, _ := referenceKeys(t)
	document := withKeyRows(string(data), keys)
	if *update {
		if err := os.WriteFile(documentFile, []byte(document), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range keyRows(document) {
		if len(row) != 8 || strings.TrimSpace(row[5]) == "" || strings.Contains(row[5], explainMe) {
			t.Errorf("docs/configuration.md does not explain%s", row[1])
		}
	}
	have, want := lines(string(data)), lines(document)
	for _, line := range slices.Sorted(maps.Keys(want)) {
		if have[line] != want[line] && !*update {
			t.Errorf("docs/configuration.md lacks %s; -update writes it", strings.TrimSpace(line))
		}
	}
	for _, line := range slices.Sorted(maps.Keys(have)) {
		if have[line] > want[line] && !*update {
			t.Errorf("docs/configuration.md has a row of no key, or a second one: %s", strings.TrimSpace(line))
		}
	}
}

func lines(document string) map[string]int {
	count := make(map[string]int)
	for line := range strings.Lines(document) {
		count[line]++
	}
	return count
}

// keyRows are the cells of the rows of the table of all keys.
func keyRows(document string) (rows [][]string) {
	for line := range strings.Lines(document) {
		if cells, ok := keyCells(line); ok {
			rows = append(rows, cells)
		}
	}
	return rows
}

// keyCells are the cells of a row: nothing, key, type, range, default, meaning,
// reload, line end.
func keyCells(line string) (cells []string, ok bool) {
	cells = strings.Split(line, "|")
	return cells, len(cells) == 8 && strings.HasPrefix(cells[1], " `")
}

func keyOf(cells []string) string { return strings.Trim(cells[1], " `") }

// withKeyRows is the document with the rows that the keys want.
func withKeyRows(document string, keys map[string]keySpec) string {
	var out []string
	written := make(map[string]bool)
	for line := range strings.Lines(document) {
		cells, isRow := keyCells(line)
		if !isRow {
			out = append(out, line)
			continue
		}
		key := keyOf(cells)
		if spec, ok := keys[key]; ok && !written[key] {
			written[key] = true
			out = append(out, keyRow(key, spec, cells[5]+"|"+cells[6]))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !written[key] {
			out = slices.Insert(out, rowPlace(key, out), keyRow(key, keys[key], " "+explainMe+" | yes "))
		}
	}
	return strings.Join(out, "")
}

func keyRow(key string, spec keySpec, rest string) string {
	row := fmt.Sprintf("| `%s` | %s | %s | %s |%s|\n", key, spec.kind, spec.allowed, spec.fallback, rest)
	return strings.ReplaceAll(row, "|  |", "| |")
}

// rowPlace is where a new row goes: after the last one of the same table, or of the
// table above that, or at the end.
func rowPlace(key string, document []string) int {
	last, longest := len(document), -1
	for n, line := range document {
		cells, isRow := keyCells(line)
		if !isRow {
			continue
		}
		if shared := sharedSteps(key, keyOf(cells)); shared >= longest {
			last, longest = n+1, shared
		}
	}
	return last
}

// sharedSteps counts the names that two keys begin with alike.
func sharedSteps(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	n := 0
	for n < min(len(as), len(bs)) && as[n] == bs[n] {
		n++
	}
	return n
}
