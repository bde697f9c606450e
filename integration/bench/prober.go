package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"github.com/lvsd/lvsd/integration/lab"
)

// probeInterval is the time between two probes of one VIP; no outage is
// measured finer.
const probeInterval = time.Millisecond

// prober sends echo requests to VIPs, as a client that never waits. The
// answers are the observer's.
type prober struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// probe begins to send from the host. All sockets are opened inside it.
func probe(h *lab.Host, vips []netip.Addr) (*prober, error) {
	var conn *icmp.PacketConn
	err := h.Do(func() (err error) { conn, err = icmp.ListenPacket("ip4:icmp", "0.0.0.0"); return err })
	if err != nil {
		return nil, fmt.Errorf("icmp socket: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &prober{cancel: cancel}
	p.done.Go(func() {
		defer conn.Close()
		sendProbes(ctx, conn, vips)
	})
	return p, nil
}

func (p *prober) close() {
	p.cancel()
	p.done.Wait()
}

func sendProbes(ctx context.Context, conn *icmp.PacketConn, vips []netip.Addr) {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		message := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 1, Seq: n & 0xffff}}
		b, err := message.Marshal(nil)
		if err != nil {
			return
		}
		for _, vip := range vips {
			// An error is an outage too: the observer sees no answer.
			_, _ = conn.WriteTo(b, &net.IPAddr{IP: vip.AsSlice()})
		}
	}
}
