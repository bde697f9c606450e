package netif

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var comparable = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

// vip reads "192.0.2.100/24" on left.
func vip(prefix string) VIP {
	p := netip.MustParsePrefix(prefix)
	v := HostVIP("left", p.Addr())
	v.Bits = p.Bits()
	return v
}

// with is the VIP with options.
func (v VIP) with(scope Scope, label, broadcast string) VIP {
	v.Scope, v.Label = scope, label
	if broadcast != "" {
		v.Broadcast = netip.MustParseAddr(broadcast)
	}
	return v
}

// onLeft lists the addresses on left but for those of the kernel's own making.
func onLeft(t *testing.T, conn *Conn) []VIP {
	t.Helper()
	all, err := conn.Addresses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(v VIP) bool {
		return v.Interface != "left" || v.Addr.IsLinkLocalUnicast() && v.Bits == 64
	})
	slices.SortFunc(all, func(a, b VIP) int { return a.prefix().Compare(b.prefix()) })
	return all
}

func wantLeft(t *testing.T, conn *Conn, when string, want ...VIP) {
	t.Helper()
	if diff := cmp.Diff(want, onLeft(t, conn), comparable, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

func TestAddAndDelete(t *testing.T) {
	conn := namespace(t)
	for _, v := range []VIP{
		vip("192.0.2.100/32"),
		vip("192.0.2.100/24"),
		vip("192.0.2.100/24").with(ScopeLink, "left:vip", "192.0.2.255"),
		vip("192.0.2.100/32").with(ScopeHost, "left:1", ""),
		vip("192.0.2.100/31"),
		vip("2001:db8::100/128"),
		vip("2001:db8::100/64"),
		vip("fe80::100/128"),
	} {
		for range 2 { // the second time it is there already
			if err := conn.Add(v); err != nil {
				t.Fatal(err)
			}
		}
		wantLeft(t, conn, fmt.Sprintf("after adding %+v", v), v)
		for range 2 { // the second time it is gone already
			if err := conn.Delete(v.Address); err != nil {
				t.Fatal(err)
			}
		}
		wantLeft(t, conn, fmt.Sprintf("after deleting %+v", v))
	}
}

// TestAddIPv6WithoutDelay: no VIP is tentative, and one of full length is not
// for the node's own connections.
func TestAddIPv6WithoutDelay(t *testing.T) {
	conn := namespace(t)
	for prefix, deprecated := range map[string]bool{"2001:db8::100/128": true, "2001:db8:1::100/64": false} {
		v := vip(prefix)
		if err := conn.Add(v); err != nil {
			t.Fatal(err)
		}
		all, err := netlink.AddrList(nil, unix.AF_INET6)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(a netlink.Addr) bool { return a.IP.String() == v.Addr.String() })
		if i < 0 {
			t.Fatalf("%s is not there: %v", prefix, all)
		}
		flags := all[i].Flags
		if flags&unix.IFA_F_TENTATIVE != 0 || flags&unix.IFA_F_PERMANENT == 0 || flags&unix.IFA_F_DEPRECATED != 0 != deprecated {
			t.Errorf("%s: flags %x", prefix, flags)
		}
	}
}

func TestAddWhereIPv6IsDisabled(t *testing.T) {
	conn := namespace(t)
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/left/disable_ipv6", []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := conn.Add(vip("2001:db8::100/128")); err == nil || !containsAll(err.Error(), "IPv6 is disabled", "left") {
		t.Errorf("add: %v, want an error that says why", err)
	}
}

// TestOwnIPv6Address: the node's own address is not taken for the VIP, which has
// another prefix length.
func TestOwnIPv6Address(t *testing.T) {
	conn := namespace(t)
	own := vip("2001:db8::100/64")
	if err := conn.Add(own); err != nil {
		t.Fatal(err)
	}
	err := conn.Add(vip("2001:db8::100/128"))
	if err == nil || !containsAll(err.Error(), "2001:db8::100/128", "another prefix length") {
		t.Errorf("add: %v, want an error", err)
	}
	wantLeft(t, conn, "afterwards", own)
}

// TestReplace changes every attribute and, by a watch of the addresses, sees
// that an IPv4 address is never without an entry.
func TestReplace(t *testing.T) {
	for _, test := range []struct {
		name      string
		old, next VIP
	}{
		{"label", vip("192.0.2.100/24"), vip("192.0.2.100/24").with(ScopeGlobal, "left:vip", "")},
		{"scope of a host address", vip("192.0.2.100/32"), vip("192.0.2.100/32").with(ScopeLink, "", "")},
		{"broadcast", vip("192.0.2.100/24").with(ScopeGlobal, "", "192.0.2.255"), vip("192.0.2.100/24")},
		{"longer prefix", vip("192.0.2.100/24"), vip("192.0.2.100/32")},
		{"shorter prefix", vip("192.0.2.100/32"), vip("192.0.2.100/24")},
		{"IPv6 prefix", vip("2001:db8::100/64"), vip("2001:db8::100/128")},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := namespace(t)
			if err := conn.Add(test.old); err != nil {
				t.Fatal(err)
			}
			updates, done := make(chan netlink.AddrUpdate, 64), make(chan struct{})
			defer close(done)
			if err := netlink.AddrSubscribe(updates, done); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time it is so already
				if err := conn.Replace(test.old.Address, test.next); err != nil {
					t.Fatal(err)
				}
				wantLeft(t, conn, "after the change", test.next)
			}
			if test.old.Addr.Is6() {
				return
			}
			if err := conn.Add(vip("198.51.100.1/32")); err != nil { // ends the events
				t.Fatal(err)
			}
			there := 1
			for update := range updates {
				if update.LinkAddress.IP.String() == "198.51.100.1" {
					break
				}
				if update.LinkAddress.IP.String() != test.old.Addr.String() {
					continue
				}
				if update.NewAddr {
					there++
				} else {
					there--
				}
				if there == 0 {
					t.Error("the address was away")
				}
			}
		})
	}
}

// TestDeletePrimary: what the kernel deletes with the first address of a subnet
// is put back as it was, and where it promotes the next, all stays.
func TestDeletePrimary(t *testing.T) {
	for _, promote := range []string{"0", "1"} {
		t.Run("promote_secondaries "+promote, func(t *testing.T) {
			conn := namespace(t)
			if err := os.WriteFile("/proc/sys/net/ipv4/conf/left/promote_secondaries", []byte(promote), 0o644); err != nil {
				t.Fatal(err)
			}
			primary, own := vip("192.0.2.100/24"), vip("192.0.2.1/24").with(ScopeGlobal, "left:own", "192.0.2.255")
			others := []VIP{own, vip("192.0.2.101/24"), vip("192.0.2.102/24"), vip("192.0.2.103/24"), vip("198.51.100.1/24")}
			for _, v := range append([]VIP{primary}, others...) {
				if err := conn.Add(v); err != nil {
					t.Fatal(err)
				}
			}
			onLeft(t, conn)
			for range 3 { // of which the second and third start from old knowledge
				if err := conn.Delete(primary.Address); err != nil {
					t.Fatal(err)
				}
				primary, others = others[0], others[1:]
			}
			wantLeft(t, conn, "after deleting three", append([]VIP{primary}, others...)...)
		})
	}
}

func TestInterfaceMadeAnew(t *testing.T) {
	conn := namespace(t)
	onLeft(t, conn)
	left, err := netlink.LinkByName("left")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkDel(left); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "left"}, PeerName: "right"}); err != nil {
		t.Fatal(err)
	}
	v := vip("192.0.2.100/32")
	if err := conn.Add(v); err != nil {
		t.Fatal(err)
	}
	wantLeft(t, conn, "after adding", v)
}

// BenchmarkAddDelete200 is what a MASTER of 200 VIPs does when it comes and goes.
func BenchmarkAddDelete200(b *testing.B) {
	conn := namespace(b)
	vips := make([]VIP, 200)
	for i := range vips {
		vips[i] = HostVIP("left", netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
	}
	for b.Loop() {
		for _, v := range vips {
			if err := conn.Add(v); err != nil {
				b.Fatal(err)
			}
		}
		for _, v := range vips {
			if err := conn.Delete(v.Address); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// TestAddAll: it is Add for each, whatever the VIP is, and says which failed.
func TestAddAll(t *testing.T) {
	conn := namespace(t)
	vips := []VIP{
		HostVIP("left", netip.MustParseAddr("192.0.2.1")),
		HostVIP("absent", netip.MustParseAddr("192.0.2.2")),
		{
			Address: Address{"right", netip.MustParseAddr("198.51.100.3"), 24}, Scope: ScopeLink,
			Label: "right:vip", Broadcast: netip.MustParseAddr("198.51.100.255"),
		},
		HostVIP("left", netip.MustParseAddr("2001:db8::4")),
		{Address: Address{"right", netip.MustParseAddr("2001:db8:5::5"), 64}},
	}
	for n := range 3 * maxBatch {
		vips = append(vips, HostVIP("left", netip.AddrFrom4([4]byte{203, 0, 113, byte(n)})))
	}
	for range 2 { // the second time they are there already
		for i, err := range conn.AddAll(vips) {
			if failed := err != nil; failed != (vips[i].Interface == "absent") {
				t.Errorf("%v: %v", vips[i], err)
			}
		}
	}
	all, err := conn.Addresses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, vip := range vips {
		if there := slices.Contains(all, vip); there != (vip.Interface != "absent") {
			t.Errorf("%v is there: %v", vip, there)
		}
	}
	defer func() {
		var addresses []Address
		for _, vip := range vips {
			addresses = append(addresses, vip.Address)
		}
		for range 2 { // the second time they are gone already
			for i, err := range conn.DeleteAll(addresses) {
				if err != nil {
					t.Errorf("delete %v: %v", vips[i], err)
				}
			}
		}
		left, err := conn.Addresses(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, vip := range vips {
			if slices.Contains(left, vip) {
				t.Errorf("%v was not deleted", vip)
			}
		}
	}()
	// What the kernel was not told with the address is as Add tells it.
	one := HostVIP("left", netip.MustParseAddr("2001:db8::6"))
	if err := conn.Add(one); err != nil {
		t.Fatal(err)
	}
	flags := map[string]int{}
	list, err := netlink.AddrList(nil, unix.AF_INET6)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		flags[a.IP.String()] = a.Flags
	}
	if flags["2001:db8::4"] != flags["2001:db8::6"] || flags["2001:db8::4"]&unix.IFA_F_DEPRECATED == 0 {
		t.Errorf("flags %x by AddAll, %x by Add", flags["2001:db8::4"], flags["2001:db8::6"])
	}
}

// BenchmarkAnnounce200 is one burst.
func BenchmarkAnnounce200(b *testing.B) {
	namespace(b)
	addrs := make([]netip.Addr, 200)
	for i := range addrs {
		addrs[i] = netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
	}
	announcer := newTestAnnouncer(b)
	for b.Loop() {
		if err := announcer.Announce("left", addrs, 5); err != nil {
			b.Fatal(err)
		}
	}
}
