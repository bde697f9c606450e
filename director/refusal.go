package director

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/vrrp"
)

const (
	// causeVIP is the cause of a fault that a VIP cannot be added.
	causeVIP = "vip"
	// refusedTries and refusedTime are how often in a row, and for how long, the
	// kernel must refuse a VIP before the instance lets another node take over.
	refusedTries = 3
	refusedTime  = time.Second
	// refusedRetry is how long it stays in FAULT then, unless the interface
	// was down and has come up: the VIP must not move to and fro.
	refusedRetry = 30 * time.Second
)

// refusal is an instance whose VIP the kernel refuses.
type refusal struct {
	// since is the first try of the row.
	since time.Time
	tries int
	// fault is when it went to FAULT for it; zero if it has not.
	fault time.Time
	// down is the VIP's interface if it was down or absent then.
	down string
	// retry makes the loop look when the fault is to be cleared.
	retry *time.Timer
}

// judgeVIPs takes an instance whose VIPs cannot be added out of the election,
// and lets it back after a while: nobody can tell but by trying.
func (d *Director) judgeVIPs(failed error) {
	refused := refusedVIPs(failed)
	now := time.Now()
	instances := d.currentInstances()
	for i := range d.refusals {
		if !slices.Contains(instances, i) {
			d.forgive(i)
		}
	}
	for _, i := range instances {
		d.mu.Lock()
		master := i.role == vrrp.Master
		vip, err := i.refusedIn(refused)
		d.mu.Unlock()
		r := d.refusals[i]
		switch {
		case r != nil && !r.fault.IsZero():
			if now.Sub(r.fault) >= refusedRetry || d.cameUp(r.down) {
				d.forgive(i)
				i.router.ClearFault(causeVIP)
			}
		case !master || err == nil:
			d.forgive(i)
		default:
			d.refuse(i, vip, err, now)
		}
	}
}

// refuse counts a try that failed, and sets the fault after enough of them.
func (d *Director) refuse(i *instance, vip netif.Address, err error, now time.Time) {
	r := d.refusals[i]
	if r == nil {
		r = &refusal{since: now}
		d.refusals[i] = r
	}
	r.tries++
	if r.tries < refusedTries || now.Sub(r.since) < refusedTime {
		return
	}
	if d.isSettling() && d.settling.atStake.Has(i.config.Router.Name) {
		// A new file brought it: the one before is gone back to, and mastership kept.
		d.resolve(fmt.Errorf("instance %q: %s cannot be added: %w", i.config.Router.Name, vip.Addr, err))
		d.forgive(i)
		return
	}
	r.fault = now
	if !d.isUp(vip.Interface) {
		r.down = vip.Interface
	}
	r.retry = time.AfterFunc(refusedRetry, d.signal)
	i.router.SetFault(causeVIP, err.Error())
}

// forgive forgets what went wrong.
func (d *Director) forgive(i *instance) {
	if r := d.refusals[i]; r != nil && r.retry != nil {
		r.retry.Stop()
	}
	delete(d.refusals, i)
}

func (d *Director) cameUp(ifname string) bool { return ifname != "" && d.isUp(ifname) }

func (d *Director) isUp(ifname string) bool {
	up, err := d.Network.LinkUp(ifname)
	return err == nil && up
}

// refusedIn returns the first of the instance's VIPs that was refused, and why.
func (i *instance) refusedIn(refused map[netif.Address]error) (netif.Address, error) {
	for _, vip := range i.config.VIPs {
		if err := refused[vip.Address]; err != nil {
			return vip.Address, err
		}
	}
	return netif.Address{}, nil
}

// refusedVIPs are the VIPs that Apply could not add, by its error.
func refusedVIPs(failed error) map[netif.Address]error {
	refused := map[netif.Address]error{}
	joined, ok := failed.(interface{ Unwrap() []error })
	if !ok {
		return refused
	}
	for _, err := range joined.Unwrap() {
		var of *opError
		if !errors.As(err, &of) {
			continue
		}
		switch op := of.op.(type) {
		case AddVIP:
			refused[op.VIP.Address] = of.err
		case EditVIP:
			refused[op.VIP.Address] = of.err
		}
	}
	return refused
}
