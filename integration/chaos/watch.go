package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/lvsd/lvsd/integration/lab"
)

// A watch knows at every moment which nodes have the VIP on an interface that
// works. The kernels tell it.
type watch struct {
	stop    chan struct{}
	reading sync.WaitGroup

	mu    sync.Mutex
	nodes []vipState
	// seen are the changes since the last forgetting.
	seen []holding
}

// vipState is what is known of one node.
type vipState struct{ has, up bool }

// holding is how many nodes held the VIP from a time on.
type holding struct {
	at    time.Time
	nodes int
}

// receiveBuffer has room for a storm of changes, in bytes.
const receiveBuffer = 4 << 20

// startWatch watches the site's nodes until the site ends.
func startWatch(t lab.TB, s *Site) *watch {
	t.Helper()
	w := &watch{stop: make(chan struct{}), nodes: make([]vipState, len(s.Nodes))}
	t.Cleanup(func() {
		close(w.stop)
		w.reading.Wait()
	})
	for i, n := range s.Nodes {
		if err := w.follow(i, n.Host); err != nil {
			t.Fatalf("watch %s: %v", n.Name, err)
		}
	}
	return w
}

// follow subscribes to what the kernel of a node tells.
func (w *watch) follow(node int, h *lab.Host) error {
	ns, err := netns.GetFromName(h.Namespace())
	if err != nil {
		return err
	}
	defer ns.Close()
	addresses, links := make(chan netlink.AddrUpdate), make(chan netlink.LinkUpdate)
	err = errors.Join(
		netlink.AddrSubscribeWithOptions(addresses, w.stop, netlink.AddrSubscribeOptions{
			Namespace: &ns, ListExisting: true, ReceiveBufferSize: receiveBuffer, ReceiveBufferForceSize: true,
			ErrorCallback: func(error) {}, // the end of the subscription
		}),
		netlink.LinkSubscribeWithOptions(links, w.stop, netlink.LinkSubscribeOptions{
			Namespace: &ns, ListExisting: true, ReceiveBufferSize: receiveBuffer, ReceiveBufferForceSize: true,
			ErrorCallback: func(error) {},
		}),
	)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	w.reading.Go(func() { w.read(node, addresses, links) })
	return nil
}

// read goes on until both subscriptions have ended.
func (w *watch) read(node int, addresses chan netlink.AddrUpdate, links chan netlink.LinkUpdate) {
	index := 0
	has := map[int]bool{}
	for addresses != nil || links != nil {
		select {
		case a, open := <-addresses:
			if !open {
				addresses = nil
				continue
			}
			if a.LinkAddress.IP.String() == vip {
				has[a.LinkIndex] = a.NewAddr
			}
		case l, open := <-links:
			if !open {
				links = nil
				continue
			}
			if l.Attrs().Name != lab.LinkName {
				continue
			}
			index = l.Attrs().Index
			w.set(node, func(v *vipState) { v.up = l.Attrs().OperState == netlink.OperUp })
		}
		w.set(node, func(v *vipState) { v.has = has[index] })
	}
}

func (w *watch) set(node int, change func(*vipState)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.count()
	change(&w.nodes[node])
	if now := w.count(); now != before {
		w.seen = append(w.seen, holding{time.Now(), now})
	}
}

func (w *watch) count() int {
	count := 0
	for _, n := range w.nodes {
		if n.has && n.up {
			count++
		}
	}
	return count
}

// holds tells whether a node has the VIP.
func (w *watch) holds(node int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nodes[node].has && w.nodes[node].up
}

// forget begins a new time of watching.
func (w *watch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = []holding{{time.Now(), w.count()}}
}

// split is how long, since forgetting, more than one node held the VIP, and how
// long none.
func (w *watch) split() (two, none time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return split(slices.Clone(w.seen), time.Now())
}

func split(seen []holding, end time.Time) (two, none time.Duration) {
	for i, h := range seen {
		until := end
		if i+1 < len(seen) {
			until = seen[i+1].at
		}
		switch {
		case h.nodes > 1:
			two += until.Sub(h.at)
		case h.nodes == 0:
			none += until.Sub(h.at)
		}
	}
	return two, none
}

// clientSees is an error unless the client's neighbour table has the host for the
// VIP.
func (s *Site) clientSees(h *lab.Host) error {
	var mac string
	err := s.Client.Do(func() error {
		link, err := netlink.LinkByName(lab.LinkName)
		if err != nil {
			return err
		}
		neighbours, err := netlink.NeighList(link.Attrs().Index, netlink.FAMILY_V4)
		for _, n := range neighbours {
			if ip, _ := netip.AddrFromSlice(n.IP.To4()); ip == s.Service.Addr() && len(n.HardwareAddr) > 0 {
				mac = n.HardwareAddr.String()
			}
		}
		return err
	})
	if err != nil || mac == h.MAC() {
		return err
	}
	if mac == "" {
		_, err := s.Client.Try("ping", "-c", "1", "-W", "1", vip)
		return errors.Join(errors.New("the client had no neighbour entry for the VIP"), err)
	}
	return fmt.Errorf("the client takes %s for the VIP, not %s of %s", mac, h.MAC(), h.Name)
}
