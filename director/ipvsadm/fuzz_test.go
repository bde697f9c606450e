package ipvsadm

import (
	"strings"
	"testing"
)

// FuzzParseServices reads any text as /etc/services.
func FuzzParseServices(f *testing.F) {
	f.Add("smtp 25/tcp mail # comment\n\nhttp\t80/tcp\nhttp 80\n")
	f.Add("x 65536/udp\ny -1/tcp\nz /\n")
	f.Fuzz(func(t *testing.T, text string) {
		services, err := parseServices(strings.NewReader(text))
		for port, name := range services {
			if name == "" || strings.ContainsAny(name, " \t\n#") {
				t.Errorf("%v is %q, %v", port, name, err)
			}
		}
	})
}
