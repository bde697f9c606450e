package director

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/vrrp"
)

// BenchmarkTakeOver is the time from a role of MASTER to the gratuitous ARP for
// the last VIP on the wire, of 1 and of 200 VIPs.
func BenchmarkTakeOver(b *testing.B) {
	lab.Require(b, lab.NeedNetns)
	for _, count := range []int{1, 200} {
		b.Run(fmt.Sprintf("%d VIPs", count), func(b *testing.B) {
			c := &config.Config{VRRP: relayConfig().VRRP}
			relay := &c.VRRP[0]
			relay.ServeOnBackup, relay.VIPs = false, nil
			relay.GARP.Count = 1 // more would overflow the capture
			for i := range count {
				vip := netif.HostVIP("eth0", netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
				relay.VIPs = append(relay.VIPs, config.VIP{VIP: vip})
			}
			host := hostFor(b, c)
			here, err := netns.Get()
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = here.Close() }()
			heard := hearAnnouncements(b, relay.VIPs[count-1].Addr)
			for b.Loop() {
				d := New(Options{Config: c, Kernel: host, Network: host, Log: slog.New(slog.DiscardHandler)})
				d.announcer.send = func(ifname string, addrs []netip.Addr, count int) error {
					runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
					if err := netns.Set(here); err != nil {
						return err
					}
					return host.Announce(ifname, addrs, count)
				}
				d.status.settled = c
				d.instances["relay"] = &instance{config: *relay, role: vrrp.Master, epoch: 1}
				facts := Facts{Config: c, Roles: map[string]vrrp.Role{"relay": vrrp.Master}}
				d.takeOver(b.Context(), facts)
				sent := make(chan time.Duration)
				go func() { sent <- d.announcer.sendDue(time.Now()) }()
				<-heard
				b.StopTimer()
				<-sent
				for _, vip := range relay.VIPs {
					if err := host.Do(b.Context(), []Op{DeleteVIP{vip.VIP}})[0]; err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
			}
		})
	}
}

// hearAnnouncements listens on the other end of the wire for the frame that
// announces the last VIP.
func hearAnnouncements(t testing.TB, last netip.Addr) <-chan struct{} {
	t.Helper()
	peer, err := net.InterfaceByName("eth1")
	if err != nil {
		t.Fatal(err)
	}
	capture, err := packet.Listen(peer, packet.Raw, unix.ETH_P_ARP, nil)
	if err != nil {
		t.Fatal(err)
	}
	heard, ended := make(chan struct{}, 1), make(chan struct{})
	t.Cleanup(func() {
		_ = capture.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		const sender = 14 + 14 // Ethernet's header, then what comes before the address
		frame := make([]byte, 128)
		for {
			n, _, err := capture.ReadFrom(frame)
			if err != nil {
				return
			}
			if n >= sender+4 && netip.AddrFrom4([4]byte(frame[sender:])) == last {
				heard <- struct{}{}
			}
		}
	}()
	return heard
}
