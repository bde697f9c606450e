package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// The environment says what it promises and what it wants.
const (
	// requireVariable lists the needs, comma separated, that this environment
	// promises: a test that finds one missing fails.
	requireVariable = "LVSD_TEST_REQUIRE"
	// onlyVariable names a need: tests without it run elsewhere.
	onlyVariable = "LVSD_TEST_ONLY"
)

// A Need is something a test depends on and a machine may lack.
type Need string

// The needs a test can have.
const (
	NeedNetns      Need = "netns"      // root, and a kernel with namespaces
	NeedIPVS       Need = "ipvs"       // ip_vs in the kernel, and ipvsadm
	NeedPostfix    Need = "postfix"    // the mail server's programs
	NeedKeepalived Need = "keepalived" // a peer to work with
	NeedFRR        Need = "frr"        // another peer: zebra, vrrpd and vtysh
	NeedNginx      Need = "nginx"      // the web server
	NeedTcpdump    Need = "tcpdump"    // to capture packets
	NeedDovecot    Need = "dovecot"    // the mail server's other side: IMAP and POP3
	NeedRedis      Need = "redis"      // the store
	NeedVsftpd     Need = "vsftpd"     // the file server
	NeedSlapd      Need = "slapd"      // the directory server
	NeedUnbound    Need = "unbound"    // the name server
	NeedSquid      Need = "squid"      // the proxy of browsers
	NeedHAProxy    Need = "haproxy"    // the proxy of services
	NeedChromium   Need = "chromium"   // the browser, which needs no screen
)

// Require ends the test when a need is not met: as a failure where the
// environment promised it, skipped where it did not.
func Require(t TB, needs ...Need) {
	t.Helper()
	if only := Need(os.Getenv(onlyVariable)); only != "" && !slices.Contains(needs, only) {
		t.Skipf("%s=%s: this test runs without it", onlyVariable, only)
	}
	for _, need := range needs {
		if err := need.check(); err != nil {
			Missing(t, need, err)
		}
	}
}

// Missing ends a test that found a need unmet by itself: as a failure where the
// environment promised it, skipped where it did not.
func Missing(t TB, need Need, why error) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv(requireVariable), ","), string(need)) {
		t.Fatalf("%s promises %s: %v", requireVariable, need, why)
	}
	t.Skipf("needs %s: %v", need, why)
}

func (n Need) check() error {
	switch n {
	case NeedNetns:
		if os.Geteuid() != 0 {
			return fmt.Errorf("not root")
		}
		return nil
	case NeedIPVS:
		if _, err := os.Stat("/proc/net/ip_vs"); err != nil {
			return fmt.Errorf("ip_vs is not loaded: %w", err)
		}
		return program("ipvsadm")
	case NeedPostfix:
		return program(postfixMaster)
	case NeedFRR:
		return errors.Join(program(frrZebra), program(frrVRRP), program(frrShell))
	case NeedRedis:
		return program("redis-server")
	case NeedKeepalived, NeedNginx, NeedTcpdump, NeedDovecot, NeedVsftpd, NeedSlapd, NeedUnbound, NeedSquid, NeedHAProxy, NeedChromium:
		return program(string(n))
	}
	return fmt.Errorf("unknown need %q", string(n))
}

func program(name string) error {
	_, err := exec.LookPath(name)
	return err
}
