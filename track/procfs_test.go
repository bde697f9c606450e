package track

import (
	"os"
	"strings"
	"testing"
)

const ordinaryStat = "4711 (haproxy) S 1 4711 4711 0 -1 4194560 900 0 12 0 5 3 0 0 20 0 4 0 8123 9000 100"

func TestParseStat(t *testing.T) {
	zombie := strings.Replace(ordinaryStat, ") S ", ") Z ", 1)
	for line, want := range map[string]stat{
		ordinaryStat: {"haproxy", true},
		strings.Replace(ordinaryStat, "haproxy", "a) R (b\n", 1): {"a) R (b\n", true},
		strings.Replace(ordinaryStat, "haproxy", "", 1):          {"", true},
		strings.Replace(zombie, " 20 0 4 0 ", " 20 0 1 0 ", 1):   {"haproxy", false},
		zombie: {"haproxy", true}, // its first thread only
		strings.Replace(ordinaryStat, " 4194560 ", " 2129984 ", 1): {"haproxy", false},
	} {
		if got, err := parseStat([]byte(line)); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", line, got, err, want)
		}
	}
	for _, line := range []string{"", "1", "1 (x", ") 1 (", "1 (x) S 1", strings.Replace(ordinaryStat, "4194560", "x", 1)} {
		if got, err := parseStat([]byte(line)); err == nil {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	self, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(self), ordinaryStat, "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 1", "1 (a) b) Z 1", "()"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		s, err := parseStat(line)
		if err != nil && s != (stat{}) {
			t.Errorf("%+v along with %v", s, err)
		}
		if !strings.Contains(string(line), s.comm) {
			t.Errorf("name %q is not in the line", s.comm)
		}
	})
}

func TestFirstArgument(t *testing.T) {
	for arguments, want := range map[string]string{
		"/usr/sbin/haproxy\x00-W\x00":     "haproxy",
		"haproxy":                         "haproxy",
		"nginx: master process nginx\x00": "nginx: master process nginx",
		"":                                ".",
		"\x00/bin/x":                      ".",
	} {
		if got := firstArgument([]byte(arguments)); got != want {
			t.Errorf("%q: %q, want %q", arguments, got, want)
		}
	}
}

// A kernel thread has a name, but is no process that does anything for a node.
func TestKernelThreadsDoNotCount(t *testing.T) {
	line, err := os.ReadFile("/proc/2/stat")
	if err != nil || !strings.Contains(string(line), "(kthreadd)") {
		t.Logf("no kernel threads are to be seen here: %s, %v", line, err)
	}
	if names := matching(2, []string{"kthreadd"}); len(names) != 0 {
		t.Errorf("process 2 is %q", names)
	}
}
