package probe

import (
	"strings"
	"testing"
)

func TestParseStatus(t *testing.T) {
	for list, want := range map[string]string{
		"200":                     "200",
		"200-299,301":             "200-299,301",
		"301, 200-299":            "200-299,301",
		" 200 - 204 ,203-210,211": "200-211",
		"100-599":                 "100-599",
		"599,100":                 "100,599",
		"204,200,202":             "200,202,204",
	} {
		set, err := ParseStatus(list)
		if err != nil {
			t.Errorf("%q: %v", list, err)
		}
		if got := set.String(); got != want {
			t.Errorf("%q is %q, want %q", list, got, want)
		}
	}
}

func TestParseStatusRefuses(t *testing.T) {
	for list, want := range map[string]string{
		"":            `"" is not a status code`,
		",200":        `"" is not a status code`,
		"200,":        `"" is not a status code`,
		"99":          `"99" is not a status code`,
		"600":         `"600" is not a status code`,
		"0200":        `"0200" is not a status code`,
		"+20":         `"+20" is not a status code`,
		"200-":        `"" is not a status code`,
		"200-204-206": `"204-206" is not a status code`,
		"299-200":     "range 299-200 runs backwards",
		"2xx":         `"2xx" is not a status code`,
	} {
		_, err := ParseStatus(list)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", list, err, want)
		}
	}
}

func TestStatusSetContains(t *testing.T) {
	set, err := ParseStatus("100,200-299,301,599")
	if err != nil {
		t.Fatal(err)
	}
	for code := -100; code < 1000; code++ {
		want := code == 100 || code >= 200 && code <= 299 || code == 301 || code == 599
		if set.Contains(code) != want {
			t.Errorf("%d: contained %v, want %v", code, !want, want)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	for _, list := range []string{"200", "200-299,301", "100-599", "301, 200", "299-200", "", "2xx", ",", "200-"} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		set, err := ParseStatus(list)
		if err != nil {
			return
		}
		again, err := ParseStatus(set.String())
		if err != nil || again != set {
			t.Errorf("%q is %q, which reads as %q, %v", list, set, again, err)
		}
		if set == (StatusSet{}) {
			t.Errorf("%q is empty without an error", list)
		}
	})
}
