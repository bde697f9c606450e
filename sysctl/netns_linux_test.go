package sysctl

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

// TestInterfaceNameWithDot sets parameters of a real interface whose name has a
// dot, in a network namespace of the test's own, and reads them back as the
// kernel took them.
func TestInterfaceNameWithDot(t *testing.T) {
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	ns, err := netns.New()
	if err != nil {
		lab.Missing(t, lab.NeedNetns, err)
	}
	defer ns.Close()
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0.100"}, PeerName: "peer"}
	if err := netlink.LinkAdd(link); err != nil {
		t.Fatal(err)
	}
	var tree Tree
	const name = "net.ipv4.conf.eth0/100.send_redirects"
	for _, want := range []string{"0", "1"} {
		if err := tree.Set(name, want); err != nil {
			t.Fatal(err)
		}
		if got, err := tree.Get(name); err != nil || got != want {
			t.Errorf("%s = %q, %v after it was set to %s", name, got, err, want)
		}
	}
	const bad = "no number"
	if err := tree.Set(name, bad); !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), name+` to "`+bad) {
		t.Errorf("set to what the kernel refuses: %v, want EINVAL with name and value", err)
	}
	if got, err := tree.Get("net.ipv4.ip_local_port_range"); err != nil || len(strings.Split(got, " ")) != 2 {
		t.Errorf("a value of two fields is read as %q, %v", got, err)
	}
}
