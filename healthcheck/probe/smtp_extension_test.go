package probe

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseExtensions(t *testing.T) {
	for text, want := range map[string]extensions{
		"":                        {},
		"250":                     {},
		"250-":                    {},
		"250 STARTTLS":            {startTLS: true},
		"250-starttls":            {startTLS: true},
		"250  STARTTLS ":          {startTLS: true},
		"250 STARTTLS x":          {startTLS: true},
		"250 XSTARTTLS":           {},
		"250 STARTTLS=":           {},
		"250 SIZE STARTTLS":       {},
		"250 AUTH":                {},
		"250 AUTH PLAIN LOGIN":    {auth: []string{"PLAIN", "LOGIN"}},
		"250 auth cram-md5":       {auth: []string{"CRAM-MD5"}},
		"250 AUTH=PLAIN LOGIN":    {auth: []string{"PLAIN", "LOGIN"}},
		"250 AUTH= LOGIN":         {auth: []string{"LOGIN"}},
		"250 AUTHPLAIN":           {},
		"250 XAUTH PLAIN":         {},
		"250-AUTH PLAIN\n250 DSN": {auth: []string{"PLAIN"}},
		"250-STARTTLS\n250-AUTH PLAIN\n250 AUTH=LOGIN": {startTLS: true, auth: []string{"PLAIN", "LOGIN"}},
	} {
		if got := parseExtensions(strings.Split(text, "\n")); !reflect.DeepEqual(got, want) {
			t.Errorf("%q offers %+v, want %+v", text, got, want)
		}
	}
}

func FuzzParseExtensions(f *testing.F) {
	for _, text := range []string{"250-mx\n250 STARTTLS", "250-AUTH PLAIN\n250 AUTH=LOGIN", "250", "", "250-\xff\x00\u0131=\n250 auth="} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e := parseExtensions(strings.Split(text, "\n"))
		upper := strings.ToUpper(text)
		if e.startTLS && !strings.Contains(upper, "STARTTLS") {
			t.Errorf("%q offers STARTTLS", text)
		}
		for _, mechanism := range e.auth {
			if mechanism == "" || !strings.Contains(upper, mechanism) || !strings.Contains(upper, "AUTH") {
				t.Errorf("%q offers %q", text, mechanism)
			}
		}
	})
}
