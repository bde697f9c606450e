package director

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
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
	// maxRaces is how often in a row a failure counts as somebody else's coming
	// between, to be met at once.
	maxRaces = 3
	// restShare is how many times as long as a look at the kernel cost is waited
	// for the next one while nothing happens: to watch costs a twentieth of a CPU
	// at most, however large the table. maxRest bounds that wait, unless Resync is
	// longer.
	restShare = 20
	maxRest   = time.Minute
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
	// Local reports whether the address, which was one of the interface's, is
	// still this host's.
	Local(ifname string, addr netip.Addr) (bool, error)
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
	// Meter reads the counters of Traffic; nil is that there are none.
	Meter Meter
	// Dial opens the sockets of an instance; vrrp.Dial unless set.
	Dial   vrrp.DialFunc
	Memory MemoryFile
	Holds  HoldFile
	// OverrideFile is where overrides are kept, over boots; empty is nowhere.
	OverrideFile string
	// Node is this node's name in overrides where there is no cluster; RouterID unless
	// set. Spread tells the other nodes of overrides; nil is that there are none.
	Node   string
	Spread SpreadFunc
	Log    *slog.Logger
	// Lookup resolves the host names of real servers; the system's resolver
	// unless set.
	Lookup LookupFunc
	// Ready is called once, when the director takes part in the election.
	Ready func()
	// Applied is called when all of a configuration has been planned and applied
	// for the first time, whether or not all of that succeeded, in a goroutine
	// that Run waits for: what that took is not needed again soon.
	Applied func()
}

// Director keeps the kernel in the planned state. Create it with New, run it
// with Run; the other methods may be called from any goroutine.
type Director struct {
	Options
	started time.Time
	pool    *healthcheck.Pool
	// statusOf is where a check stands: the pool's word, or pathless's. mayAsk is
	// hasPath; it is for the loop.
	statusOf func(healthcheck.Spec) healthcheck.Status
	mayAsk   func(healthcheck.Spec) bool
	pathless pathless
	// runners are the trackers with a life of their own; endTrackers ends it.
	runners     *track.Set
	endTrackers func()
	announcer   *announcer
	conflicts   *conflicts
	// refusals are the instances whose VIPs the kernel refuses; for the loop.
	refusals map[*instance]*refusal
	// wake is for the loop, look for watchElection, maintained for
	// followMaintenance.
	wake, look chan struct{}
	maintained chan struct{}
	reloads    chan reloadRequest
	// settling is the last reload; the loop changes it, with mu held.
	settling *reloadWait
	// questions are run by the loop between two steps.
	questions chan func()
	// retired are the hooks of removed instances and groups that are still at
	// work.
	retired sync.WaitGroup
	// hookSlots bounds how many commands of services run at a time.
	hookSlots chan struct{}
	names     *resolver
	// metering is had by who reads metered or writes it.
	metering turn
	metered  metered
	// evaluating is held by who tells routers what links and trackers mean, and
	// while a reload changes both. holding orders what is written to Holds, ordering
	// what is written to OverrideFile. Each comes before mu. maintaining is had by who
	// begins or ends maintenance, and comes before these.
	evaluating, holding, ordering sync.Mutex
	maintaining                   turn
	// recalling reads OverrideFile, damage is why it could not. Damaged tells that the
	// damaged file is still there, leftOut is what was said last of overrides that
	// were not taken in: for who has ordering.
	recalling sync.Once
	damage    error
	damaged   bool
	leftOut   string

	// The loop's own: what it worked out of the configuration, that everything is
	// to be planned, what the last look at the kernel cost, when it is to be
	// read, a weight to rise and something to end that a switch needs for a while,
	// and how often in a row somebody else came between.
	derived   derived
	complete  bool
	reordered []int          // services that orders changed, by their place
	applied   *config.Config // that Applied was called for
	first     *reading       // until it was used or is old
	lookCost  time.Duration
	readAt    time.Time
	riseAt    time.Time
	switchEnd time.Time
	races     int

	journal journal

	// seen guards view, when real servers recovered whose weight rises, what those
	// that tell theirs had before, and what operators want, against who is not the
	// loop.
	seen       sync.RWMutex
	view       view
	recovered  map[ServerKey]time.Time
	toldBefore map[ServerKey]int
	admin      Admin

	// mu guards what follows; it is never held during kernel work.
	mu sync.Mutex
	// file is the configuration as it was read, config has addresses in place
	// of host names.
	file, config *config.Config
	instances    map[string]*instance
	groups       map[string]*group
	trackers     map[string]*tracker
	held         Set[string]
	transitions  []vrrp.Transition
	notices      []notice
	// again are the instances whose MASTER hooks are to be run again.
	again     []string
	standings map[string]*standing
	// overrides are what was ordered, overridesNew tells that the loop has not seen
	// them, overrideTrouble why it is not known what was ordered before the start.
	// upkeep is what maintenance of this node has done.
	overrides       overrideSet
	overridesNew    bool
	overrideTrouble string
	upkeep          upkeep
	// verdicts are those that changed and are not planned yet.
	verdicts []healthcheck.Change
	// relinquished is when each instance last ceased to be MASTER, assumed when
	// it became that in a switch.
	relinquished, assumed map[string]time.Time
	// changed tells that what everything is planned from changed, stale that the
	// kernel may have.
	changed, stale bool
	// owned is replaced by own and never changed; ownedVersion counts that.
	owned        Owned
	ownedVersion int
	sysctls      map[string]string
	status       observation

	// remembering is held while Memory is written, ownedSaved is the version of
	// owned there. It comes before mu.
	remembering sync.Mutex
	ownedSaved  int
}

// New returns a director that has not touched anything yet.
func New(o Options) *Director {
	d := &Director{
		Options:     o,
		started:     time.Now(),
		wake:        make(chan struct{}, 1),
		look:        make(chan struct{}, 1),
		maintained:  make(chan struct{}, 1),
		maintaining: newTurn(),
		reloads:     make(chan reloadRequest),
		hookSlots:   make(chan struct{}, hookConcurrency),
		view:        newView(),
		complete:    true,
		recovered:   map[ServerKey]time.Time{},
		questions:   make(chan func()),
		metering:    newTurn(),
		instances:   map[string]*instance{},
		refusals:    map[*instance]*refusal{},
		standings:   map[string]*standing{},
		owned:       Owned{Services: Set[ipvs.ServiceKey]{}, VIPs: Set[netif.Address]{}},
		sysctls:     map[string]string{},

		relinquished: map[string]time.Time{},
		assumed:      map[string]time.Time{},
	}
	d.names = newResolver(o.Lookup, o.Log)
	d.configure(o.Config)
	d.Config = nil // or it would stay when another one has taken its place
	d.status.reload = ReloadStatus{At: d.started, OK: true}
	d.announcer = newAnnouncer(o.Network.Announce, o.Log)
	d.conflicts = newConflicts(o.Network, o.Log, d.happened, d.announcer.again)
	d.pool = healthcheck.NewPool(o.Config.Checks, d.verdictChanged, d.poolNoticed)
	d.mayAsk = d.hasPath
	d.statusOf = func(spec healthcheck.Spec) healthcheck.Status {
		if status, waits := d.pathless.all()[spec]; waits {
			return status
		}
		status, _ := d.pool.Status(spec)
		return status
	}
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
	damage := d.recallOverrides()
	d.setAdmin(adminOf(d.overridesNow(), time.Now()))
	d.names.recall(memory.Hosts)
	d.names.resolve(ctx, d.file.Names(), firstLookups)
	d.configure(d.file)
	if err := d.Kernel.Prepare(d.config); err != nil {
		return err
	}
	maps.Copy(d.sysctls, memory.Sysctls) // they are to be read
	first, err := d.read(ctx)
	if err != nil {
		return err
	}
	d.first = &reading{first, time.Now()}
	if damage != nil {
		d.guessOrders(first, d.config)
		d.mendOverrides(damage)
	}
	if err := d.adopt(memory, first); err != nil {
		return err
	}

	d.recordStart(memory)
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
	helpers.Go(func() { d.followNames(background) })

	d.setStandings(background, d.derived.config)
	if err := d.startInstances(background, memory, first); err != nil {
		return err
	}
	helpers.Go(func() { d.watchElection(background) })
	helpers.Go(func() { d.followMaintenance(background) })
	d.loop(ctx, background)
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
	d.own(merged(d.owned, memory.owned()))
	maps.Copy(d.sysctls, memory.Sysctls)
	d.see(first, d.owned)
	d.recallQuorums(memory.Quorate)
	return d.check(d.config, d.view.have)
}

// check makes the checks and trackers of c the ones that run. A check that is new
// starts from what the kernel's weights say, so that a changed interval does not
// take a working server out until it has answered.
func (d *Director) check(c *config.Config, have State) error {
	d.pool.SetLimits(c.Checks)
	if err := d.setChecks(c, have.verdicts(c, d.admin)); err != nil {
		return err
	}
	before := have.toldBefore(c, d.admin)
	d.seen.Lock()
	d.toldBefore = before
	d.seen.Unlock()
	return d.setTrackers(c)
}

// signal makes the loop read the kernel again. It does not block.
func (d *Director) signal() {
	d.mu.Lock()
	d.stale = true
	d.mu.Unlock()
	nudge(d.wake)
}

func (d *Director) ownedNow() Owned {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.owned
}

// own changes what this node owns. It needs d.mu once the director runs.
func (d *Director) own(o Owned) {
	d.owned = o
	d.ownedVersion++
}

// merged is what either owns.
func merged(o, other Owned) Owned {
	o = o.Clone()
	o.Merge(other)
	return o
}

// addressed has addresses in place of host names.
func (d *Director) addressed(file *config.Config) *config.Config {
	if len(file.Names()) == 0 {
		return file
	}
	return file.WithAddresses(d.names.answers())
}

// configure goes over to a configuration as read, in the loop's goroutine or
// before there is one.
func (d *Director) configure(file *config.Config) {
	c := d.addressed(file)
	d.derived = derive(c)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.file, d.config = file, c
	d.journal.setNode(c.Global.RouterID)
	d.own(merged(d.owned, OwnedBy(c)))
	d.changed = true
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
		check := spec.Check()
		attempts := time.Duration(check.Retries + 1)
		longest = max(longest, attempts*(check.Timeout+check.RetryDelay)+check.FirstWithin())
	}
	if longest == 0 {
		return maxGrace
	}
	return min(longest, maxGrace)
}

// specs returns every check of c; equal ones may repeat.
func specs(c *config.Config) []healthcheck.Spec {
	var all []healthcheck.Spec
	for i := range c.Services {
		for spec := range checksOf(&c.Services[i]) {
			all = append(all, *spec)
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
