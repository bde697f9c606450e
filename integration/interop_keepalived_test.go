package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/lvsd/lvsd/integration/lab"
)

// complaint is what keepalived 2.2.7 says about an advert that it does not like.
var complaint = regexp.MustCompile(`(?i)invalid|mismatch|too short|too long|wrong version|expect|` +
	`not present|unexpected|checksum|passwd|bogus|unknown|malformed|error`)

// keepalived is a host that runs Debian's keepalived.
type keepalived struct {
	*lab.Host
	router virtualRouter
	daemon *lab.Daemon

	segment *segment
}

func (s *segment) addKeepalived(name, address string) *keepalived {
	s.Helper()
	return &keepalived{Host: s.lab.Host(name, address+"/24"), segment: s}
}

// start writes the file and starts keepalived.
func (k *keepalived) start(v virtualRouter) {
	k.segment.Helper()
	k.router = v
	dir := k.segment.lab.Dir(k.Name)
	config := filepath.Join(dir, "keepalived.conf")
	if err := os.WriteFile(config, []byte(v.keepalived()), 0o600); err != nil {
		k.segment.Fatalf("keepalived: %v", err)
	}
	k.daemon = k.Start(lab.Command{
		Name: "keepalived",
		// In the foreground, VRRP only, all of the log on standard error.
		Args: []string{
			"keepalived", "-n", "-P", "-l", "-D", "-f", config,
			"-p", filepath.Join(dir, "keepalived.pid"), "-r", filepath.Join(dir, "vrrp.pid"),
			"-c", filepath.Join(dir, "checkers.pid"),
		},
	})
}

// stop ends keepalived with SIGTERM: a MASTER says goodbye.
func (k *keepalived) stop() {
	k.segment.Helper()
	if err := k.daemon.Stop(); err != nil {
		k.segment.Fatalf("keepalived ended: %v\n%s", err, k.daemon.Output())
	}
}

func (k *keepalived) takesPart() bool {
	return k.daemon != nil && k.daemon.Running() && carrier(k.Host)
}

// inState returns nil when keepalived has logged the state last, and its
// interface has the VIP or not, as the state demands.
func (k *keepalived) inState(state string) error {
	const entering = "Entering "
	log := k.daemon.Output()
	last := log[max(0, strings.LastIndex(log, entering)):]
	if want := entering + strings.ToUpper(state) + " STATE"; !strings.HasPrefix(last, want) {
		return fmt.Errorf("keepalived is not %s, its log ends with %.200s", state, last)
	}
	if held := holds(k.Host); held != (state == "master") {
		return fmt.Errorf("keepalived is %s, its interface has the VIP: %v", state, held)
	}
	return nil
}

// complaints are the lines of the log that find fault with an advert.
func (k *keepalived) complaints() []string {
	var found []string
	for line := range strings.Lines(k.daemon.Output()) {
		if complaint.MatchString(line) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// keepalived is the configuration of keepalived.
func (v virtualRouter) keepalived() string {
	var b strings.Builder
	fmt.Fprintf(&b, "global_defs {\n router_id keepalived\n vrrp_version %d\n}\n", v.Version)
	fmt.Fprintf(&b, "vrrp_instance VI_1 {\n state BACKUP\n interface %s\n virtual_router_id %d\n", lab.LinkName, v.VRID)
	fmt.Fprintf(&b, " priority %d\n advert_int %g\n garp_master_delay 1\n", v.Priority, v.Interval.Seconds())
	if v.Peer != "" {
		fmt.Fprintf(&b, " unicast_src_ip %s\n unicast_peer {\n %s\n }\n", v.Source, v.Peer)
	}
	if v.Password != "" {
		fmt.Fprintf(&b, " authentication {\n auth_type PASS\n auth_pass %s\n }\n", v.Password)
	}
	fmt.Fprintf(&b, " virtual_ipaddress {\n %s\n }\n}\n", strings.Join(v.vips(), "\n "))
	return b.String()
}
