package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/lvsd/lvsd/integration/lab"
)

// keepalivedComplaint is what keepalived 2.2.7 says about an advert that it does
// not like.
var keepalivedComplaint = regexp.MustCompile(`(?i)invalid|mismatch|too short|too long|wrong version|expect|` +
	`not present|unexpected|checksum|passwd|bogus|unknown|malformed|error`)

// keepalived is a host that runs Debian's keepalived.
type keepalived struct {
	*lab.Host
	router virtualRouter
	daemon *lab.Daemon
	// tracked is a file with a number that keepalived adds to its priority.
	tracked string
	// added is more of its configuration.
	added string

	segment *segment
}

func (s *segment) addKeepalived(address string, v virtualRouter) peer {
	s.Helper()
	k := &keepalived{Host: s.lab.Host("keepalived", address+"/24"), router: v, segment: s}
	k.tracked = filepath.Join(s.lab.Dir(k.Name), "tracked")
	k.setPriority(v.Priority)
	return k
}

// host and mac: keepalived holds VIPs on the interface itself.
func (k *keepalived) host() *lab.Host { return k.Host }
func (k *keepalived) mac() string     { return k.MAC() }

// start writes the file and starts keepalived.
func (k *keepalived) start() {
	k.segment.Helper()
	dir := k.segment.lab.Dir(k.Name)
	config := filepath.Join(dir, "keepalived.conf")
	if err := os.WriteFile(config, []byte(k.router.keepalived(k.tracked)+k.added), 0o600); err != nil {
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

// kill ends parent and child, which would clean up after its parent.
func (k *keepalived) kill() { k.daemon.Kill() }

// revive: keepalived removes at its start what an earlier one left behind.
func (k *keepalived) revive() {
	k.segment.Helper()
	k.start()
	k.segment.lab.WaitFor("keepalived to clean up", func() error {
		if !strings.Contains(k.daemon.Output(), "entering FAULT state") {
			return errors.New("it has not found out that its interface is down")
		}
		return k.wantVIPs(false)
	})
	k.SetCable(true)
}

// setPriority works by the tracked file, in a running keepalived too.
func (k *keepalived) setPriority(priority int) {
	k.segment.Helper()
	k.segment.writeNumber(k.tracked, priority-k.router.Priority)
}

func (k *keepalived) takesPart() bool {
	return k.daemon != nil && k.daemon.Running() && carrier(k.Host)
}

func (k *keepalived) wantVIPs(all bool) error {
	return wantVIPs(k.Host, lab.LinkName, k.router.vips(), all)
}

// inState returns nil when keepalived has logged the state last, and its
// interface has the VIPs or not, as the state demands.
func (k *keepalived) inState(state string) error {
	const entering = "Entering "
	log := k.daemon.Output()
	last := log[max(0, strings.LastIndex(log, entering)):]
	if want := entering + strings.ToUpper(state) + " STATE"; !strings.HasPrefix(last, want) {
		return fmt.Errorf("keepalived is not %s, its log ends with %.200s", state, last)
	}
	if err := k.wantVIPs(state == "master"); err != nil {
		return fmt.Errorf("keepalived is %s: %w", state, err)
	}
	return nil
}

// heardGoodbye tells whether keepalived has seen a MASTER leave.
func (k *keepalived) heardGoodbye() bool {
	return strings.Contains(k.daemon.Output(), "received priority 0 advertisement")
}

// complaints are the lines of the log that find fault with an advert.
func (k *keepalived) complaints() []string { return matching(keepalivedComplaint, k.daemon.Output()) }

// matching are the lines that the expression matches.
func matching(expression *regexp.Regexp, log string) []string {
	var found []string
	for line := range strings.Lines(log) {
		if expression.MatchString(line) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// keepalived is the configuration of keepalived, whose priority a number in a
// file is added to.
func (v virtualRouter) keepalived(tracked string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global_defs {\n router_id keepalived\n vrrp_version %d\n}\n", v.Version)
	fmt.Fprintf(&b, "track_file priority {\n file %s\n weight 1\n}\n", tracked)
	fmt.Fprintf(&b, "vrrp_instance VI_1 {\n state BACKUP\n interface %s\n virtual_router_id %d\n", lab.LinkName, v.VRID)
	fmt.Fprintf(&b, " priority %d\n advert_int %g\n garp_master_delay 1\n", v.Priority, v.Interval.Seconds())
	b.WriteString(" track_file {\n priority\n }\n")
	if v.Peer != "" {
		fmt.Fprintf(&b, " unicast_src_ip %s\n unicast_peer {\n %s\n }\n", v.Source, v.Peer)
	}
	if v.Password != "" {
		fmt.Fprintf(&b, " authentication {\n auth_type PASS\n auth_pass %s\n }\n", v.Password)
	}
	fmt.Fprintf(&b, " virtual_ipaddress {\n %s\n }\n}\n", strings.Join(v.vips(), "\n "))
	return b.String()
}
