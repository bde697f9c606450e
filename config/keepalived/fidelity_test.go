package keepalived

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// around is a file with an instance and what a case adds.
func around(instance, rest string) string {
	return "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {\n 192.0.2.1\n }\n" + instance + "\n}\n" + rest
}

// balanced is a virtual server and what a case adds to it and to its real server.
func balanced(service, server string) string {
	return around("", "virtual_server 192.0.2.1 80 {\n protocol TCP\n lb_kind NAT\n lb_algo rr\n"+service+
		"\n real_server 192.0.2.11 80 {\n weight 2\n"+server+"\n }\n}\n")
}

const (
	scripts  = "vrrp_script s {\n script \"/bin/true\"\n}\nvrrp_script heavy {\n script \"/bin/true\"\n weight 5\n}\n"
	second   = "vrrp_instance VI_2 {\n interface eth0\n virtual_router_id 2\n virtual_ipaddress {\n 192.0.2.2\n }\n}\n"
	together = "vrrp_sync_group G {\n group {\n VI_1\n VI_2\n }\n}\n" + second
	relay    = "\"/usr/bin/python3 /etc/keepalived/bypass_ipvs.py add 192.0.2.1\""
)

// faithful are texts with what keepalived 2.2.7 makes of them: what the TOML has, what
// it has not, and what a note says.
var faithful = []struct{ name, text, has, hasNot, note string }{
	{"lines of another id", around(" @lb1 priority 150\n @lb1 nopreempt\n @main priority 90", ""), "priority = 90", "priority = 150", "differs: lines 7, 8 are for @lb1, and left out; import with --config-id lb1"},
	{"lines of all but this id", around(" @^main priority 150", ""), "priority = 100", "150", "line 7 is for every configuration but @main"},
	{
		"a weighted script in a group", scripts + around(" track_script {\n s\n heavy\n }", together), `track = ["s"]`, "", "differs: heavy: in a sync group keepalived ignores a tracked script with a weight",
	},
	{"a script with a weight of its own line", scripts + around(" track_script {\n s weight 3\n }", together), "[[sync_group]]", "track =", "in a sync group keepalived ignores"},
	{"a script without weight here", scripts + around(" track_script {\n heavy weight 0\n }", together), `{ tracker = "heavy", weight = 0 }`, "", ""},
	{"a weighted script with tracking weight", scripts + around(" track_script {\n heavy\n }", strings.Replace(together, "G {", "G {\n sync_group_tracking_weight", 1)), `track = ["heavy"]`, "", ""},
	{
		"a weighted process in a group", "track_process p {\n process x\n weight 7\n}\n" + around(" track_process {\n p\n }", together), `track = ["p"]`, "", "",
	},
	{"a file in a group", "track_file f {\n file /f\n}\n" + around(" track_file {\n f\n }", together), `{ tracker = "f", weight = 0 }`, "", "differs: f: in a sync group keepalived sets the weight to zero"},
	{"a file with a weight in a group", "track_file f {\n file /f\n}\n" + around(" track_file {\n f weight 2\n }", together), "[[sync_group]]", "track =", "ignores a tracked file with a weight"},
	{"an interface in a group", around(" track_interface {\n eth3 weight 5\n }", together), `track = ["eth3"]`, "", "sets the weight to zero"},
	{
		"one address on two interfaces", around(" virtual_ipaddress_excluded {\n fe80::1\n }", strings.ReplaceAll(strings.ReplaceAll(second, "eth0", "eth5"), "192.0.2.2\n", "192.0.2.2\n fe80::1\n")),
		`interface = "eth5"`, "", "another family",
	},
	{"one address of two instances", around("", strings.ReplaceAll(second, "192.0.2.2\n", "192.0.2.2\n 192.0.2.1\n")), "192.0.2.2", "", `no counterpart: lvsd cannot have "192.0.2.1"`},
	{"two commands", around(" notify_master /bin/one\n notify_master /bin/two", ""), "/bin/one", "/bin/two", "broken: notify_master stands there already, in line 7; keepalived keeps the first"},
	{"two commands of a quorum", balanced(" quorum_up /bin/one\n quorum_up /bin/two", ""), "/bin/one", "/bin/two", "quorum_up stands there already"},
	{"two commands of a server", balanced("", " notify_down /bin/one\n notify_down /bin/two"), "/bin/one", "/bin/two", "notify_down stands there already"},
	{"two priorities", around(" priority 90\n priority 80", ""), "priority = 80", "90", "broken: priority stands there again, in line 8"},
	{"two names of a keyword", balanced(" lvs_sched wrr", ""), `scheduler = "wrr"`, `"rr"`, "lb_algo stands there again"},
	{"lower case", balanced(" lb_kind dr", ""), `forwarding = "nat"`, `"dr"`, "DR was probably meant"},
	{"lower case of a server", balanced("", " lvs_method dr"), `forwarding = "nat"`, `"dr"`, "DR was probably meant"},
	{"a scheduler in upper case", balanced(" lvs_sched LC", ""), `scheduler = "rr"`, "", "lc was probably meant"},
	{"no timeout", balanced("", " TCP_CHECK {\n connect_timeout 0\n }"), `type = "tcp"`, "timeout", "broken: connect_timeout: \"0\" is not a number of seconds 0.000001..4294.967295"},
	{"no delay", balanced(" delay_loop 0", " TCP_CHECK {\n }"), `interval = "60s"`, "", "broken: delay_loop"},
	{"retry of a service", balanced(" retry 0", " TCP_CHECK {\n }"), "retries = 1", "", "broken: retry"},
	{"retry of a check", balanced("", " TCP_CHECK {\n retry 0\n }"), `type = "tcp"`, "retries", ""},
	{"a long interval", around(" version 3\n advert_int 300", ""), "vrid = 1", "advert_interval", "broken: advert_int"},
	{"a long delay", around(" preempt_delay 5000", ""), "vrid = 1", "preempt_delay =", "broken: preempt_delay"},
	{"an interval of parts", "vrrp_script s {\n script /bin/true\n interval 0.5\n}\n" + around("", ""), `name = "s"`, "interval", "broken: interval"},
	{"no interval", "vrrp_script s {\n script /bin/true\n timeout 0\n}\n" + around("", ""), `timeout = "1s"`, "", "timeout: 0 is not possible; keepalived takes 1"},
	{"up delay", "interface_up_down_delays {\n eth0 3 20\n}\n" + around("", ""), `link_down_delay = "3s"`, "", `up_delay = "20s" in track of VI_1`},
	{"delays of no interface here", "interface_up_down_delays {\n eth9 3\n}\n" + around("", ""), "vrid", "eth9", "no counterpart: eth9"},
	{"no url", balanced("", " HTTP_GET {\n }"), "[[virtual_service.real_server]]", "check]", "broken: HTTP_GET: the checker has no url"},
	{"no path", balanced("", " HTTP_GET {\n url {\n status_code 200\n }\n }"), "[[virtual_service.real_server]]", "check]", "broken: url: the url has no path"},
	{"no {", around(" priority 50\n track_interface\n eth7\n }\n priority 60", ""), `track = ["eth7"]`, "", "broken: track_interface has no {; keepalived takes what follows"},
	{"no { before a }", balanced("", " TCP_CHECK"), `type = "tcp"`, "", "broken: TCP_CHECK has no {"},
	{
		"no { before a block", balanced("", " }\n real_server 192.0.2.12 80\n real_server 192.0.2.13 80 {\n weight 9"), "weight = 9", "192.0.2.13",
		"broken: the { after real_server is ignored, as with keepalived",
	},
	{"server names", balanced("", " SSL_GET {\n enable_sni\n virtualhost www.example.com\n url {\n path /\n }\n }"), `tls_name = "www.example.com"`, "", ""},
	{
		"relay of a group", around("", strings.Replace(together, "G {", "G {\n notify_backup "+relay+"\n notify_master /bin/m", 1)), `serve_on_backup = true`, "bypass_ipvs", "",
	},
	{
		"a group of one", scripts + around("", "vrrp_sync_group G {\n group {\n VI_1\n }\n notify_master /bin/m\n track_script {\n s\n }\n}\n"), "[vrrp.notify]", "sync_group",
		"differs: vrrp_sync_group G: a group has two instances or more, so track and notify of it are those of VI_1",
	},
	{
		"commands of a group of one and of its instance", around(" notify_master /bin/i", "vrrp_sync_group G {\n group {\n VI_1\n }\n notify_master /bin/g\n}\n"), "/bin/i", "/bin/g",
		"no counterpart: notify_master of the group: VI_1 has one too",
	},
	{"a FIFO in /tmp", "global_defs {\n notify_fifo /tmp/f\n}\n" + around("", ""), `fifo = "/tmp/f"`, "", "put the FIFO into /run/lvsd"},
	{"quorum too large", balanced(" quorum 5\n hysteresis 1", ""), "quorum = 2", "quorum_hysteresis =", "broken: quorum 5 is more than the real servers weigh together, 2; keepalived lowers it to that"},
	{"hysteresis too large", balanced(" quorum 2\n hysteresis 2", ""), "quorum = 2", "quorum_hysteresis =", "broken: hysteresis 2 is not below the quorum, 2"},
	{"hysteresis beyond the servers", balanced(" quorum 2\n hysteresis 1", ""), "quorum = 2", "quorum_hysteresis =", "differs: hysteresis 1"},
	{"priorities of rules", around(" virtual_rules {\n from 10.1.0.0/16 table 5\n from 10.2.0.0/16 table 5\n }", ""), "priority = 16384", "16382", ""},
	{"a heavy server", balanced("", " weight 70000"), "weight = 65535", "", "no counterpart: weight 70000: lvsd takes at most 65535"},
	{"a long prefix", around(" virtual_ipaddress {\n 192.0.2.5/33\n }", ""), "192.0.2.5/32", "", "broken: 192.0.2.5/33: the prefix is longer than the address; keepalived takes /32"},
	{"no repetition", around(" garp_master_repeat 0", ""), "garp.count = 1", "", "broken: garp_master_repeat: 0 is not possible; keepalived takes 1"},
	{"what lvsd refuses in a list", scripts + around(" priority 255\n state MASTER\n track_script {\n s\n heavy\n }", ""), `track = ["s"]`, "", "heavy"},
	{
		"a list that lvsd refuses", scripts + around(" priority 255", strings.Replace(together, "G {", "G {\n sync_group_tracking_weight\n track_script {\n heavy\n }", 1)), "[[sync_group]]", "track =",
		`no counterpart: lvsd cannot have track = "heavy": `,
	},
	{"port of a sorry server", balanced(" lvs_method DR\n sorry_server 192.0.2.99 8080", ""), `address = "192.0.2.99"`, "8080\"", "broken: sorry_server 192.0.2.99 8080: by DR packets keep the port, so it is 80"},
	{
		"a group of everything", around("", "virtual_server_group g {\n 192.0.2.1 80\n 2001:db8::1 80\n fwmark 7\n}\nvirtual_server group g {\n protocol TCP\n}\n"), "firewall_mark = 7", "",
		"differs: virtual_server_group g has IPv4, IPv6 and a fwmark without a family",
	},
}

func TestFaithful(t *testing.T) {
	for _, test := range faithful {
		t.Run(test.name, func(t *testing.T) {
			r := importFile(t, File{Name: "k.conf", Text: []byte(test.text)})
			body, _, _ := strings.Cut(string(r.TOML), "# What is to be looked at")
			if !strings.Contains(body, test.has) || test.hasNot != "" && strings.Contains(body, test.hasNot) {
				t.Errorf("want %q and not %q in\n%s", test.has, test.hasNot, r.TOML)
			}
			if test.note != "" && !slices.ContainsFunc(r.Notes, func(n Note) bool { return strings.Contains(n.String(), test.note) }) {
				t.Errorf("no note %q in %v", test.note, r.Notes)
			}
			if test.note == "" && len(r.Notes) > 0 {
				t.Errorf("notes %v", r.Notes)
			}
		})
	}
}

// TestNodesHaveIDs: without a configuration id each node's own name is one.
func TestNodesHaveIDs(t *testing.T) {
	text := []byte(around(" @lb1 priority 150\n @lb2 priority 90", ""))
	r, err := Import([]File{{Name: "k.conf", Node: "lb1.example.com", Text: text}, {Name: "k.conf", Node: "lb2", Text: text}}, Options{Node: "lb1.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"priority = 150", `[vrrp.node."lb2"]` + "\n  priority = 90"} {
		if !strings.Contains(string(r.TOML), want) {
			t.Errorf("no %q in\n%s", want, r.TOML)
		}
	}
}

// TestFaithfulToKeepalived: keepalived itself complains of each case of which a note
// says so.
func TestFaithfulToKeepalived(t *testing.T) {
	program, err := exec.LookPath("keepalived")
	if err == nil && os.Geteuid() != 0 {
		err = errors.New("it wants root")
	}
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("LVSD_TEST_REQUIRE"), ","), "keepalived") {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	for name, complaint := range map[string]string{
		"two commands": "notify_master script already specified - ignoring /bin/two", "lower case": "unknown [dr] routing method",
		"no timeout": "connect_timeout 0 invalid - ignoring", "a long interval": "Advert interval (300) not valid", "no url": "no urls specified - ignoring",
		"no {": "Missing '{'", "no repetition": "setting to 1", "a long prefix": "using 32", "a group of everything": "removing",
		"a weighted script in a group": "ignoring tracked script heavy with weights due to SYNC group", "no path": "url has no path - ignoring",
		"quorum too large": "reducing quorum to 2", "a long delay": "must be between 0-1000",
	} {
		at := slices.IndexFunc(faithful, func(f struct{ name, text, has, hasNot, note string }) bool { return f.name == name })
		if at < 0 {
			t.Fatalf("no case %q", name)
		}
		path := filepath.Join(t.TempDir(), "k.conf")
		// The loopback cannot be a VRRP interface, and the host may have no other.
		if err := os.WriteFile(path, []byte("global_defs {\n script_user root\n}\n"+faithful[at].text), 0o600); err != nil {
			t.Fatal(err)
		}
		// It ends with an error for each of these files.
		out, _ := exec.CommandContext(t.Context(), program, "-t", "-f", path).CombinedOutput()
		if strings.Contains(string(out), "Non-existent interface") && !strings.Contains(string(out), complaint) {
			continue // this host has no eth0
		}
		if !strings.Contains(string(out), complaint) {
			t.Errorf("%s: keepalived does not say %q:\n%s", name, complaint, fmt.Sprint(string(out)))
		}
	}
}
