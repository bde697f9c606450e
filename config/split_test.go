package config

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
)

const (
	cutInstance = "[[vrrp]]\nname = \"a\"\ninterface = \"eth0\"\nvrid = 1\nvips = [\"192.0.2.1\"]\n"
	cutService  = "[[virtual_service]]\naddress = \"192.0.2.1:80\"\nprotocol = \"tcp\"\n"
)

// cuts are files whose services cannot be decoded on their own, or only seem
// so.
var cuts = []string{
	cutInstance + cutService,
	cutService + cutInstance,
	cutService + cutInstance + "[virtual_service.check]\ntype = \"tcp\"\n",
	cutService + "[virtual_service.check]\ntype = \"tcp\"\n" + cutInstance + "[[virtual_service]]\nfirewall_mark = 1\n",
	cutInstance + cutService + "name = \"\"\"\n[[virtual_service]]\n\"\"\"\n",
	cutInstance + cutService + "name = '''\n[x]\n'''\n",
	cutInstance + cutService + "scheduler_flags = [\n[\"x\"]\n]\n",
	cutInstance + cutService + "scheduler_flags = [\n\"x\",\n]\n",
	cutInstance + "virtual_service = []\n" + cutService,
	"virtual_service = []\n" + cutInstance + cutService,
	"virtual_service = 1\n" + cutInstance + cutService,
	"[virtual_service]\n" + cutInstance + cutService,
	cutInstance + cutService + "[virtual_service]\n",
	cutInstance + cutService + "[virtual_service ]\n",
	cutInstance + cutService + "[[ virtual_service ]]\nfirewall_mark = 1\n",
	cutInstance + cutService + "[[\"virtual_service\"]]\nfirewall_mark = 1\n",
	cutInstance + cutService + "[\"virtual_service\".check]\ntype = \"tcp\"\n",
	cutInstance + cutService + "[[virtual_service]] x\n",
	cutInstance + cutService + "[[virtual_service]] # x\n\tfirewall_mark = 1\r\n \t[[virtual_service.real_server]]\r\naddress = \"192.0.2.9\"\r\n",
	cutInstance + cutService + "[vrrp.node.relay1]\npriority = 3\n" + "[[virtual_service]]\nfirewall_mark = 1\n[global]\nresync = 1\n",
	cutInstance + cutService + "address = 1\n",
	cutInstance + cutService + "weight =\n[[virtual_service]]\n",
	cutInstance + cutService + "[virtual_service.check]\n[virtual_service.check]\n",
	cutInstance + cutService + "[[virtual_service.a.b]]\n[virtual_service_x]\n",
}

// TestDecodeInPieces wants the same as from the whole.
func TestDecodeInPieces(t *testing.T) {
	for _, text := range cuts {
		cfg, err := parseFiles("test.toml", []byte(text), "relay1")
		whole, wholeErr := parseWhole("test.toml", []byte(text), "relay1")
		if fmt.Sprint(err) != fmt.Sprint(wholeErr) || !reflect.DeepEqual(cfg, whole) {
			t.Errorf("%s\nin pieces: %v, %v\nas a whole: %v, %v", text, cfg, err, whole, wholeErr)
		}
	}
}

// TestSplit wants a file as people write it to be cut at every service.
func TestSplit(t *testing.T) {
	text := "# a\n" + cutInstance + cutService + "\n  [virtual_service.check]\n  type = \"tcp\"\n" + cutService +
		"\n[vrrp.node.x]\npriority = 1\n" + cutService
	rest, services := split([]byte(text))
	if want := "# a\n" + cutInstance + "[vrrp.node.x]\npriority = 1\n"; string(rest) != want {
		t.Errorf("rest %q, want %q", rest, want)
	}
	var got []string
	for _, s := range services {
		got = append(got, string(s))
	}
	if want := []string{cutService + "\n  [virtual_service.check]\n  type = \"tcp\"\n", cutService + "\n", cutService}; !slices.Equal(got, want) {
		t.Errorf("services %q, want %q", got, want)
	}
}
