package integration

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/vrrp"
)

// The keys of TestAuthentication, as the file has them and as they are.
const (
	firstKey  = "the first key of the two is this"
	secondKey = "and this is the key after it ..."
)

// authKeys is the configuration with the keys, sending with the active one.
func authKeys(active int, ids ...int) string {
	text := plainKeys + fmt.Sprintf("[vrrp.auth]\ntype = \"hmac-sha256\"\nwindow = \"120s\"\nactive_key = %d\n", active)
	for _, id := range ids {
		text += fmt.Sprintf("[[vrrp.auth.keys]]\nid = %d\nsecret = %q\n", id, []string{firstKey, secondKey}[id-1])
	}
	return text
}

// TestAuthentication: nodes that sign their adverts change the key without a
// change of roles, and nobody without the key brings one about.
func TestAuthentication(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	t.Parallel()
	p := newPlainPair(t, func(_ *node, v *virtualRouter) { v.Keys = authKeys(1, 1) })
	p.stage("the higher priority is MASTER", func(*testing.T) {
		p.first.start()
		p.second.start()
		p.settle(p.first)
		p.signedWith("hmac 1")
	})
	p.forgeries()
	p.stage("another key, step by step", func(t *testing.T) {
		undisturbed := p.undisturbed(t, p.nodes()...)
		for _, keys := range []string{authKeys(1, 1, 2), authKeys(2, 1, 2), authKeys(2, 2)} {
			for _, n := range p.nodes() {
				n.reload(func(v *virtualRouter) { v.Keys = keys })
				p.hears(p.second, 2)
			}
		}
		p.signedWith("hmac 2")
		p.settle(p.first)
		undisturbed()
		if i := p.second.now(); i.NoticeCounts["auth"] != p.second.noticesOf("auth", forgerAddress) {
			t.Errorf("the nodes found fault with each other: %+v", i.Notices)
		}
	})
}

// signedWith waits until the BACKUP has heard an advert of the MASTER with the
// key.
func (p *pair) signedWith(auth string) {
	p.Helper()
	p.second.wait("an advert with "+auth, func(i director.InstanceStatus) bool {
		for _, peer := range i.Peers {
			if peer.Address == p.first.Address.String() {
				return peer.Auth == auth && peer.Discard == ""
			}
		}
		return false
	})
}

// noticesOf is how often a notice that stands was seen.
func (n *node) noticesOf(kind, peer string) uint64 {
	n.segment.Helper()
	for _, notice := range n.now().Notices {
		if notice.Kind == kind && notice.Peer == peer {
			return notice.Count
		}
	}
	return 0
}

// forgerAddress is where forgeries come from.
const forgerAddress = "10.99.0.66"

// forgeries: what a host without the key sends is discarded, counted, and told
// with the address it came from.
func (p *pair) forgeries() {
	f := newForger(p.T, p.segment)
	now := func() vrrp.Sequence { return vrrp.SequenceAt(time.Now()) }
	genuine := f.record(p.T, p.first.Address)
	for _, c := range []struct {
		name string
		// reason is lvsd's word for the discard, kind for the notice.
		reason, kind string
		send         func() error
	}{
		{"without a signature", "hmac_missing", "auth", func() error {
			return f.send(f.advert(vrrp.Trailer{}, ""), f.Address, vrrp.TTL)
		}},
		{"signed with another key", "hmac", "auth", func() error {
			return f.send(f.advert(vrrp.Trailer{KeyID: 1, Sequence: now()}, secondKey), f.Address, vrrp.TTL)
		}},
		{"signed with a key of another number", "hmac_key", "auth", func() error {
			return f.send(f.advert(vrrp.Trailer{KeyID: 7, Sequence: now()}, firstKey), f.Address, vrrp.TTL)
		}},
		{"from behind a router", "ttl", "ttl", func() error {
			return f.send(f.advert(vrrp.Trailer{KeyID: 1, Sequence: now()}, firstKey), f.Address, vrrp.TTL-1)
		}},
		{"of another time", "hmac_time", "clock", func() error {
			old := vrrp.SequenceAt(time.Now().Add(-time.Hour))
			return f.send(f.advert(vrrp.Trailer{KeyID: 1, Sequence: old}, firstKey), f.Address, vrrp.TTL)
		}},
	} {
		p.stage("an advert "+c.name+" is discarded", func(t *testing.T) {
			undisturbed := p.undisturbed(t, p.nodes()...)
			p.flood(c.reason, c.kind, forgerAddress, c.send, p.nodes()...)
			undisturbed()
			p.settle(p.first)
		})
	}
	p.stage("a recorded advert is discarded", func(t *testing.T) {
		undisturbed := p.undisturbed(t, p.nodes()...)
		p.flood("hmac_replay", "replay", p.first.Address.String(), func() error {
			return f.send(genuine, p.first.Address, vrrp.TTL)
		}, p.second)
		undisturbed()
		p.settle(p.first)
	})
	p.stage("an advert signed with the key is taken", func(*testing.T) {
		p.lab.WaitFor("the first to yield", func() error {
			advert := f.advert(vrrp.Trailer{KeyID: 1, Sequence: now()}, firstKey)
			return errors.Join(f.send(advert, f.Address, vrrp.TTL), p.first.says("backup"))
		})
		p.settle(p.first)
	})
}

// flood sends forgeries until each node has discarded some for the reason, and
// checks that each has told of it once.
func (p *pair) flood(reason, kind, peer string, send func() error, nodes ...*node) {
	p.Helper()
	const enough = 10
	before := map[*node]uint64{}
	for _, n := range nodes {
		before[n] = n.now().Discarded[reason]
	}
	p.lab.WaitFor("adverts discarded as "+reason, func() error {
		for range enough {
			if err := send(); err != nil {
				return err
			}
		}
		for _, n := range nodes {
			i, err := n.instance()
			if err == nil && i.Discarded[reason] < before[n]+enough {
				err = fmt.Errorf("it has discarded %v", i.Discarded)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", n.Name, err)
			}
		}
		return nil
	})
	for _, n := range nodes {
		if n.noticesOf(kind, peer) < enough {
			p.Fatalf("%s: no notice %s of %s in %+v", n.Name, kind, peer, n.now().Notices)
		}
		n.loggedOnce(`msg="VRRP notice"`, "kind="+kind+" ", "peer="+peer+" ")
	}
}

// forger is a host that sends adverts of its own making.
type forger struct {
	*lab.Host
	socket   *ipv4.RawConn
	outgoing *net.Interface
	interval time.Duration
}

func newForger(t *testing.T, s *segment) *forger {
	t.Helper()
	f := &forger{Host: s.lab.Host("forger", forgerAddress+"/24"), interval: s.interval}
	err := f.Do(func() (err error) {
		if f.outgoing, err = net.InterfaceByName(lab.LinkName); err != nil {
			return err
		}
		conn, err := net.ListenPacket(fmt.Sprint("ip4:", vrrp.Protocol), "0.0.0.0")
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = conn.Close() })
		if f.socket, err = ipv4.NewRawConn(conn); err != nil {
			return err
		}
		group := &net.IPAddr{IP: vrrp.Group.AsSlice()}
		return errors.Join(f.socket.JoinGroup(f.outgoing, group), f.socket.SetMulticastInterface(f.outgoing))
	})
	if err != nil {
		t.Fatalf("forger: %v", err)
	}
	return f
}

// advert is one of the highest priority below the owner's, from the forger's
// address, signed if the trailer has a key.
func (f *forger) advert(trailer vrrp.Trailer, key string) []byte {
	a := vrrp.Advert{
		Version: vrrp.V3, VRID: 20, Priority: vrrp.Owner - 1, Interval: f.interval,
		Addresses: []netip.Addr{netip.MustParseAddr(hostVIP)}, Trailer: trailer,
	}
	if trailer.Present() {
		if err := a.Sign([]byte(key), f.Address); err != nil {
			return nil
		}
	}
	b, err := a.Append(nil, f.Address, vrrp.Group)
	if err != nil {
		return nil
	}
	return b
}

// send sends a message to the group as if it came from the source.
func (f *forger) send(message []byte, source netip.Addr, ttl int) error {
	return f.socket.WriteTo(&ipv4.Header{
		Version: ipv4.Version, Len: ipv4.HeaderLen, TotalLen: ipv4.HeaderLen + len(message),
		TTL: ttl, Protocol: vrrp.Protocol, Src: source.AsSlice(), Dst: vrrp.Group.AsSlice(),
	}, message, nil)
}

// record is the next message that comes from the source.
func (f *forger) record(t *testing.T, source netip.Addr) []byte {
	t.Helper()
	if err := f.socket.SetReadDeadline(time.Now().Add(10 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 1500); ; {
		header, message, _, err := f.socket.ReadFrom(b)
		if err != nil {
			t.Fatalf("forger: %v", err)
		}
		if from, _ := netip.AddrFromSlice(header.Src.To4()); from == source {
			return append([]byte{}, message...)
		}
	}
}
