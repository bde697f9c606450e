package config

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// references are the files that together have every key: a service by firewall
// mark cannot stand beside serve_on_backup.
var references = []string{"reference", "firewall-mark"}

// acceptedKeys is what the reader accepts, by key: all of it, because a table
// that the references lack is itself a key that they lack. Present are the keys
// that they have.
func acceptedKeys(t *testing.T) (accepted map[string]keySpec, present map[string]bool) {
	t.Helper()
	accepted = make(map[string]keySpec)
	present = make(map[string]bool)
	for _, name := range references {
		data, err := os.ReadFile("testdata/good/" + name + ".toml")
		if err != nil {
			t.Fatal(err)
		}
		doc := newDocument(name+".toml", data)
		doc.readFile = keyFile
		if err := doc.decodeWhole(); err != nil {
			t.Fatal(err)
		}
		notePresent(present, path{}, doc.root)
		node := "server03.domain.ru"
		if name == "firewall-mark" {
			node = "relay1.example.org"
		}
		if _, problems, err := doc.read(node, accepted); len(problems) > 0 || err != nil {
			t.Fatal(problems, err)
		}
	}
	maps.DeleteFunc(accepted, func(key string, _ keySpec) bool { return strings.Contains(key, ".node.") })
	return accepted, present
}

// referenceKeys are the keys that the document explains: those of acceptedKeys
// without those that are the same as another one.
func referenceKeys(t *testing.T) (keys map[string]keySpec, present map[string]bool) {
	t.Helper()
	accepted, present := acceptedKeys(t)
	keys = make(map[string]keySpec)
	for key, spec := range accepted {
		if same := sameKey(key); same != key && accepted[same] == spec {
			continue
		}
		keys[key] = spec
	}
	return keys, present
}

// notePresent notes the names of everything in a decoded value.
func notePresent(present map[string]bool, at path, value any) {
	present[at.name()], present[sameKey(at.name())] = true, true
	if table, ok := value.(map[string]any); ok {
		for name, value := range table {
			notePresent(present, at.key(name), value)
		}
	}
	elements, _ := elementsOf(value)
	for i, element := range elements {
		notePresent(present, at.index(i), element)
	}
}

// sameKey is the key where the document explains it, for keys that mean the same
// in several places.
func sameKey(key string) string {
	for place, first := range map[string]string{
		"virtual_service.real_server.check.": "virtual_service.check.",
		"tracker.check.":                     "virtual_service.check.",
		"virtual_service.check.request.":     "virtual_service.check.",
		"virtual_service.check.step.":        "virtual_service.check.",
		"sync_group.notify.":                 "vrrp.notify.",
		"sync_group.track.":                  "vrrp.track.",
		"vrrp.excluded_vips.":                "vrrp.vips.",
	} {
		if rest, ok := strings.CutPrefix(key, place); ok {
			return sameKey(first + rest)
		}
	}
	return key
}

func TestReferenceFileHasEveryKey(t *testing.T) {
	keys, present := referenceKeys(t)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !present[key] {
			t.Errorf("no file of %q has %s", references, key)
		}
	}
}

// TestReferenceFileHasEveryType wants each type of tracker, authentication and
// check in the reference: what only an absent one has would be missed.
func TestReferenceFileHasEveryType(t *testing.T) {
	keys, _ := referenceKeys(t)
	for _, key := range slices.Concat(
		prefixed("tracker.", trackerOptions), prefixed("vrrp.auth.", authOptions), prefixed("virtual_service.check.", checkOptions),
	) {
		if _, ok := keys[key]; !ok {
			t.Errorf("nothing in testdata/good/reference.toml can have %s", key)
		}
	}
}

func prefixed[T ~string](table string, o options[T]) (keys []string) {
	for key := range o {
		keys = append(keys, table+key)
	}
	return keys
}

// TestDocumentShowsFiles wants the files that the document quotes in it word for
// word.
func TestDocumentShowsFiles(t *testing.T) {
	document, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"good/reference.toml", "good/minimal.toml", "bad/documented.toml", "bad/documented.want"} {
		data, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(document), "\n"+string(data)+"```\n") {
			t.Errorf("docs/configuration.md does not show testdata/%s as it is", file)
		}
	}
}

// TestDocumentExamples wants every example in the document to be valid, but the
// one that shows errors.
func TestDocumentExamples(t *testing.T) {
	document, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	faulty, err := os.ReadFile("testdata/bad/documented.toml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(document), "```toml\n")
	for n := 1; found; n++ {
		var example string
		example, rest, _ = strings.Cut(rest, "```\n")
		node := "relay1"
		if strings.Contains(example, `"server03.domain.ru"`) { // the reference
			node = "server03.domain.ru"
		}
		if _, err := parseFiles(fmt.Sprintf("example %d", n), []byte(example), node); (err != nil) != (example == string(faulty)) {
			t.Errorf("example %d: got error %v", n, err)
		}
		_, rest, found = strings.Cut(rest, "```toml\n")
	}
}
