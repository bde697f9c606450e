package vrrp_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// choosy is a Conn that can mute, as a socket can.
type choosy struct {
	vrrp.Conn
	mu    sync.Mutex
	muted vrrp.Mute
	// asked are all that it was told, read what it handed over.
	asked []vrrp.Mute
	read  int
}

func (c *choosy) Mute(m vrrp.Mute) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.muted = m
	c.asked = append(c.asked, m)
	return nil
}

func (c *choosy) Read() (vrrp.Packet, error) { return c.choose(c.Conn.Read) }
func (c *choosy) Poll() (vrrp.Packet, error) { return c.choose(c.Conn.Poll) }

func (c *choosy) choose(next func() (vrrp.Packet, error)) (vrrp.Packet, error) {
	for {
		p, err := next()
		c.mu.Lock()
		muted := err == nil && slices.Contains(c.muted.Sources, p.Source) != c.muted.Others
		if err == nil && !muted {
			c.read++
		}
		c.mu.Unlock()
		if !muted {
			return p, err
		}
	}
}

func (c *choosy) told() (asked []vrrp.Mute, read int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asked), c.read
}

// startChoosy is start on a Conn that can mute.
func startChoosy(t *testing.T, lan *vrrptest.LAN, c vrrp.Config, change ...func(*node, *vrrp.RouterConfig)) (*node, *choosy) {
	t.Helper()
	conn := &choosy{}
	n := start(t, lan, c, append(change, func(_ *node, rc *vrrp.RouterConfig) {
		dial := rc.Dial
		rc.Dial = func(ifname string, c vrrp.Config) (_ vrrp.Conn, err error) {
			conn.Conn, err = dial(ifname, c)
			return conn, err
		}
	})...)
	return n, conn
}

// storm injects so many adverts in a second, and so many times.
func storm(t *testing.T, lan *vrrptest.LAN, seconds, perSecond int, from func(i int) netip.Addr, p uint8) {
	t.Helper()
	for second := range seconds {
		for i := range perSecond {
			source := from(second*perSecond + i)
			a := vrrp.Advert{Version: vrrp.V3, VRID: 51, Priority: p, Interval: time.Second, Addresses: []netip.Addr{addr(100), addr(101)}}
			b, err := a.Append(nil, source, vrrp.Group)
			if err != nil {
				t.Fatal(err)
			}
			lan.Inject(source, vrrp.Group, vrrp.TTL, b)
		}
		sleep(time.Second)
	}
}

// In a storm little is read, no role changes and adverts go on; afterwards
// everybody is heard again.
func TestStormIsMuted(t *testing.T) {
	for _, tt := range []struct {
		name   string
		from   func(i int) netip.Addr
		notice string
		// spares says that the MASTER is spared, and everybody else muted.
		spares bool
	}{
		{name: "from one", from: func(int) netip.Addr { return addr(66) }, notice: "flood 10.0.0.66"},
		{
			name: "from everywhere", from: func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}) },
			notice: "flood 0.0.0.0", spares: true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lan := vrrptest.New()
				var begun []string
				a, atA := startChoosy(t, lan, config(1, priority(200)), func(_ *node, c *vrrp.RouterConfig) {
					c.Notice = func(n vrrp.Notice, over bool) {
						if !over && n.Kind == vrrp.NoticeFlood {
							begun = append(begun, fmt.Sprint(n.Kind, " ", n.Peer))
						}
					}
				})
				b, atB := startChoosy(t, lan, config(2))
				sleep(10 * time.Second)
				storm(t, lan, 20, 5000, tt.from, 1)
				wantRoles(t, a, "BACKUP MASTER")
				wantRoles(t, b, "BACKUP")
				for _, conn := range []*choosy{atA, atB} {
					// 500 in every two seconds, and what ends a window.
					if _, read := conn.told(); read < 1000 || read > 20*500 {
						t.Errorf("%d of 100,000 were read", read)
					}
				}
				if !slices.Equal(begun, []string{tt.notice}) {
					t.Errorf("notices %q", begun)
				}
				asked, _ := atB.told()
				i := slices.IndexFunc(asked, func(m vrrp.Mute) bool { return len(m.Sources) > 0 || m.Others })
				if i < 0 || asked[i].Others != tt.spares || len(asked[i].Sources) != 1 || asked[i].Sources[0] != map[bool]netip.Addr{true: a.addr, false: addr(66)}[tt.spares] {
					t.Fatalf("the BACKUP muted %+v", asked)
				}
				sleep(5 * time.Second)
				for _, conn := range []*choosy{atA, atB} {
					if asked, _ := conn.told(); asked[len(asked)-1].Others || len(asked[len(asked)-1].Sources) > 0 {
						t.Errorf("after the storm still %+v", asked[len(asked)-1])
					}
				}
				storm(t, lan, 1, 1, tt.from, 255)
				wantRoles(t, a, "BACKUP MASTER BACKUP")
			})
		})
	}
}

// Whoever proved that it has the key, is a peer or the MASTER is heard, though
// somebody floods in its name.
func TestStormInTheMastersName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a := start(t, lan, config(1, priority(200)))
		b, conn := startChoosy(t, lan, config(2))
		sleep(10 * time.Second)
		for range 10 {
			for range 5000 {
				lan.Inject(a.addr, vrrp.Group, vrrp.TTL, []byte{0x31, 51, 1, 1, 0, 100, 0, 0, 10, 0, 0, 100})
			}
			sleep(time.Second)
		}
		wantRoles(t, b, "BACKUP")
		if asked, read := conn.told(); len(asked) > 0 || read < 50_000 {
			t.Errorf("muted %+v, read %d", asked, read)
		}
	})
}
