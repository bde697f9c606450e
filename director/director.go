package director

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/track"
	"github.com/lvsd/lvsd/vrrp"
)

// ErrHandOver, as the cause of the cancellation of Run's context, makes the
// director end without giving anything up: VIPs, rules, virtual services and
// mastership stay for a successor that starts within Master_Down_Interval.
var ErrHandOver = errors.New("handing over to a successor")

const (
	// stopDeadline bounds the work of a clean stop.
	stopDeadline = 10 * time.Second
	// retryDelay is the pause after a reconciliation that failed.
	retryDelay = 200 * time.Millisecond
	// maxGrace bounds how long the first answers of checks are waited for.
	maxGrace = 30 * time.Second
)

// Network is what the director needs of the network beside the Kernel.
type Network interface {
	// Announce tells the neighbours on the interface's link of the addresses,
	// count times.
	Announce(ifname string, addrs []netip.Addr, count int) error
	// Probe asks on the interface's link who else has the addresses.
	Probe(ifname string, addrs []netip.Addr) error
	// Listen calls claimed whenever another host on the interface's link says
	// that it has an address for which held returns true, until ctx ends.
	// Neither may block.
	Listen(ctx context.Context, ifname string, held func(netip.Addr) bool, claimed func(netif.Claim)) error
	// LinkUp reports whether the interface exists, is up and has a carrier.
	LinkUp(name string) (bool, error)
	// Watch calls changed, which must not block, whenever a link, an address, or
	// a route or rule of lvsd's may have changed, until ctx ends.
	Watch(ctx context.Context, changed func()) error
}

// Options are what a Director is made of.
type Options struct {
	Config *config.Config
	// ConfigPath and Version are shown in the status.
	ConfigPath, Version string
	Kernel              Kernel
	Network             Network
	// Dial opens the sockets of an instance; vrrp.Dial unless set.
	Dial   vrrp.DialFunc
	Memory MemoryFile
	Holds  HoldFile
	Log    *slog.Logger
	// Ready is called once, when the director takes part in the election.
	Ready func()
}

// Director keeps the kernel in the planned state. Create it with New, run it
// with Run; the other methods may be called from any goroutine.
type Director struct {
	Options
	started time.Time
	pool    *healthcheck.Pool
	// runners are the trackers with a life of their own; endTrackers ends it.
	runners     *track.Set
	endTrackers func()
	announcer   *announcer
	conflicts   *conflicts
	// refusals are the instances whose VIPs the kernel refuses; for the loop.
	refusals map[*instance]*refusal
	// wake is for the loop, look for watchElection.
	wake, look chan struct{}
	reloads    chan reloadRequest
	// retired are the hooks of removed instances and groups that are still at
	// work.
	retired sync.WaitGroup
	// evaluating is held by who tells routers what links and trackers mean, and
	// while a reload changes both. holding orders what is written to Holds.
	// Either comes before mu.
	evaluating, holding sync.Mutex

	// mu guards what follows; it is never held during kernel work.
	mu          sync.Mutex
	config      *config.Config
	instances   map[string]*instance
	groups      map[string]*group
	trackers    map[string]*tracker
	held        Set[string]
	transitions []vrrp.Transition
	notices     []notice
	// again are the instances whose MASTER hooks are to be run again.
	again []string
	// changed tells that roles, health or configuration changed since the last
	// complete reconciliation, so that what differs now is not drift.
	changed bool
	owned   Owned
	sysctls map[string]string
	status  observation
}

// New returns a director that has not touched anything yet.
func New(o Options) *Director {
	d := &Director{
		Options:   o,
		started:   time.Now(),
		wake:      make(chan struct{}, 1),
		look:      make(chan struct{}, 1),
		reloads:   make(chan reloadRequest),
		config:    o.Config,
		instances: map[string]*instance{},
		refusals:  map[*instance]*refusal{},
		changed:   true,
		owned:     OwnedBy(o.Config),
		sysctls:   map[string]string{},
	}
	d.status.reload = ReloadStatus{At: d.started, OK: true}
	d.announcer = newAnnouncer(o.Network.Announce, o.Log)
	d.conflicts = newConflicts(o.Network, o.Log, d.announcer.again)
	d.pool = healthcheck.NewPool(d.verdictChanged)
	d.runners = track.NewSet(func(track.Change) { d.lookAgain() })
	return d
}

// Run works until ctx ends and gives everything up then, unless the cause is
// ErrHandOver. The error is that of a start or stop that failed.
func (d *Director) Run(ctx context.Context) error {
	memory, err := d.Memory.Load()
	if err != nil {
		d.Log.Warn("starting without a predecessor's state", "err", err)
	}
	d.recallHolds()
	if err := d.Kernel.Prepare(d.config); err != nil {
		return err
	}
	first, err := d.Kernel.Read(ctx, requiredSysctls(d.config))
	if err != nil {
		return fmt.Errorf("read the kernel's state: %w", err)
	}
	if err := d.adopt(memory, first); err != nil {
		return err
	}

	if err := d.serve(ctx, memory, first); err != nil {
		return err
	}
	if errors.Is(context.Cause(ctx), ErrHandOver) {
		return nil
	}
	return d.Memory.Remove()
}

// serve runs everything from the first role to the last, and returns when no
// goroutine is left.
func (d *Director) serve(ctx context.Context, memory Memory, first Snapshot) error {
	// What serves the election outlives ctx: a clean stop still needs it.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer d.retired.Wait()
	defer stop()
	d.endTrackers = begin(background, func(ctx context.Context) { _ = d.runners.Run(ctx) })
	defer d.endTrackers()
	helpers.Go(func() { d.announcer.run(background) })
	helpers.Go(func() { d.conflicts.run(background) })
	helpers.Go(func() { _ = d.pool.Run(background) }) // it fails only if run twice
	helpers.Go(func() { d.watchNetwork(background) })
	helpers.Go(func() { d.keepMemory(background) })

	if err := d.startInstances(background, memory, first); err != nil {
		return err
	}
	helpers.Go(func() { d.watchElection(background) })
	if err := d.loop(ctx, background); err != nil {
		return errors.Join(err, d.handOver())
	}
	return d.end(context.Cause(ctx))
}

// begin runs f in a goroutine. It returns what ends its context and waits for it.
func begin(ctx context.Context, f func(context.Context)) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// adopt takes over what a predecessor left: what it owned stays owned, and the
// weights in the kernel stand for its verdicts until the checks have spoken.
func (d *Director) adopt(memory Memory, first Snapshot) error {
	d.owned.Merge(memory.owned())
	maps.Copy(d.sysctls, memory.Sysctls)
	return d.check(d.config, first.State(d.owned))
}

// check makes the checks and trackers of c the ones that run. A check that is new
// starts from what the kernel's weights say, so that a changed interval does not
// take a working server out until it has answered.
func (d *Director) check(c *config.Config, have State) error {
	if err := d.pool.Update(specs(c)); err != nil {
		return fmt.Errorf("checks: %w", err)
	}
	for spec, up := range have.verdicts(c) {
		if err := d.pool.Seed(spec, up); err != nil {
			return fmt.Errorf("checks: %w", err)
		}
	}
	return d.setTrackers(c)
}

// verdictChanged takes a verdict from a check's goroutine. It does not block.
func (d *Director) verdictChanged(c healthcheck.Change) {
	d.mu.Lock()
	d.changed = true
	d.mu.Unlock()
	level := slog.LevelInfo
	if c.To == healthcheck.Down {
		level = slog.LevelWarn
	}
	d.Log.Log(context.Background(), level, "check "+strings.ToLower(c.To.String()),
		"check", c.Spec.Kind, "target", c.Spec.Target,
		"from", strings.ToLower(c.From.String()), "code", c.Result.Code, "reason", c.Result.Reason)
	d.signal()
	d.lookAgain()
}

// loop reconciles whenever something changed, and every Resync in any case,
// until ctx ends. The error is one that only another process can mend: the
// module was loaded anew under this one.
func (d *Director) loop(ctx, background context.Context) error {
	resync := time.NewTimer(0)
	defer resync.Stop()
	grace := time.NewTimer(grace(d.config))
	defer grace.Stop()
	answered := d.pool.Answered()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake:
		case <-resync.C:
		case request := <-d.reloads:
			d.apply(background, request)
		case <-answered:
			answered = nil
			d.join("every check has answered")
		case <-grace.C:
			d.join("checks took too long to answer")
		}
		d.startReady(background)
		next := d.currentConfig().Global.Resync
		switch err := d.step(ctx, false); {
		case errors.Is(err, ipvs.ErrReloaded):
			return err
		case err != nil:
			next = min(next, retryDelay)
		}
		resync.Reset(next)
	}
}

// step handles the transitions that are waiting, brings the kernel to the
// planned state and then tells the hooks.
func (d *Director) step(ctx context.Context, stopping bool) error {
	transitions, again := d.takeTransitions()
	for _, t := range transitions {
		d.logTransition(t)
	}
	err := d.reconcile(ctx, stopping)
	for _, t := range transitions {
		d.notify(t)
	}
	for _, name := range again {
		d.notifyAgain(name)
	}
	d.notifyGroups(transitions)
	return err
}

// end gives up what this node holds, or leaves it to a successor.
func (d *Director) end(cause error) error {
	if errors.Is(cause, ErrHandOver) {
		return d.handOver()
	}
	stopAll(d.currentInstances())
	ctx, cancel := context.WithTimeout(context.Background(), stopDeadline)
	defer cancel()
	err := d.step(ctx, true)
	for err != nil && pause(ctx, retryDelay) {
		err = d.step(ctx, true)
	}
	hooks, cancelHooks := context.WithTimeout(context.Background(), d.hookTime())
	defer cancelHooks()
	if err := errors.Join(err, d.endHooks(hooks)); err != nil {
		return fmt.Errorf("clean stop: %w", err)
	}
	d.Log.Info("stopped")
	return nil
}

// handOver leaves everything as it is. Hooks and trackers that run are ended
// first, while adverts still go out: the successor calls the hooks of its own
// first role.
func (d *Director) handOver() error {
	d.endTrackers()
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(ErrHandOver)
	if err := d.endHooks(ended); err != nil {
		d.Log.Warn("hooks did not come to their end", "err", err)
	}
	for _, instance := range d.currentInstances() {
		instance.detach()
	}
	d.Log.Info("left VIPs, rules and virtual services to a successor")
	return d.remember()
}

// pause waits for the delay; it returns false if ctx ended.
func pause(ctx context.Context, delay time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(delay):
		return true
	}
}

// signal makes the loop look at what changed. It does not block.
func (d *Director) signal() {
	nudge(d.wake)
}

func (d *Director) currentConfig() *config.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config
}

// grace is how long a slow but working check may take to answer for the first
// time. Without checks there is nothing to wait for: that is answered at once.
func grace(c *config.Config) time.Duration {
	var longest time.Duration
	for _, spec := range specs(c) {
		attempts := time.Duration(spec.Retries + 1)
		longest = max(longest, attempts*(spec.Timeout+spec.RetryDelay)+min(spec.Interval, time.Second))
	}
	if longest == 0 {
		return maxGrace
	}
	return min(longest, maxGrace)
}

// specs returns every check of c; equal ones may repeat.
func specs(c *config.Config) []healthcheck.Spec {
	var all []healthcheck.Spec
	for _, service := range c.Services {
		for _, server := range service.RealServers {
			all = append(all, server.Checks...)
		}
	}
	for _, t := range c.Trackers {
		if t.Kind == config.TrackCheck {
			all = append(all, t.Check)
		}
	}
	return all
}

// nudge wakes up the goroutine that reads wake, a channel with room for one. It
// does not block: a nudge that was not heard yet stands for this one too.
func nudge(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
