package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/sysctl"
)

// lookupTimeout bounds the lookup of one host name.
const lookupTimeout = 2 * time.Second

// Survey finds out the Facts of this host for a configuration.
type Survey struct {
	Config *config.Config
	// Status is what the daemon says of itself; nil if none runs.
	Status *director.Status
	// Probe asks the neighbours who has VIPs and real servers' addresses.
	Probe bool
	// Listen is how long to listen for adverts where no daemon runs, which hears
	// them anyway; 0 is not at all.
	Listen time.Duration
}

// gathering is a Survey under way. What fails leaves its fact unknown.
type gathering struct {
	Survey
	config *config.Config

	mu    sync.Mutex
	facts Facts
}

// Gather finds out what it can. It takes as long as Listen, and some seconds with
// Probe, unless ctx ends before.
func (s Survey) Gather(ctx context.Context) *Case {
	g := &gathering{Survey: s, config: s.Config}
	g.facts.Status = s.Status
	g.resolve(ctx)
	g.lacks()
	g.sysctls()
	g.table()
	g.processes()
	g.clock()
	g.network()
	g.firewall(ctx)
	g.segment(ctx)
	return &Case{Config: g.config, Facts: g.facts}
}

// unchecked notes what could not be looked at.
func (g *gathering) unchecked(what string, why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.facts.Unchecked = append(g.facts.Unchecked, Unchecked{What: what, Why: why.Error()})
}

// resolve fills in the addresses of host names.
func (g *gathering) resolve(ctx context.Context) {
	addresses := map[string][]netip.Addr{}
	for _, name := range g.config.Names() {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		cancel()
		if err != nil {
			g.unchecked("real server "+name, err)
			continue
		}
		for i := range found {
			found[i] = found[i].Unmap()
		}
		addresses[name] = found
	}
	g.config = g.config.WithAddresses(addresses)
}

func (g *gathering) lacks() {
	g.facts.Lacks = director.Lacks(g.config)
	for _, lack := range g.facts.Lacks {
		if lack.Unknown != "" && !isSysctl(g.config, lack) {
			g.unchecked(lack.What, errors.New(lack.Unknown))
		}
	}
}

func (g *gathering) sysctls() {
	values, err := sysctl.Tree{}.GetAll(sysctlNames(g.config))
	if err != nil {
		g.unchecked("kernel parameters", err)
		return
	}
	g.facts.Sysctls = values
}

// table reads what IPVS holds. That the kernel does not have it is a Lack.
func (g *gathering) table() {
	const what = "what IPVS holds"
	client, err := ipvs.Open()
	switch {
	case errors.Is(err, ipvs.ErrUnavailable):
		return
	case err != nil:
		g.unchecked(what, err)
		return
	}
	defer func() { _ = client.Close() }()
	entries, err := client.Table()
	if err != nil {
		g.unchecked(what, err)
		return
	}
	for i := range entries {
		g.facts.Services = append(g.facts.Services, entries[i].ServiceKey)
	}
	if g.facts.Daemons, err = client.Daemons(); err != nil {
		g.unchecked("synchronisation daemons", err)
	}
	info, err := client.Info()
	if err == nil {
		g.facts.Connections, err = countLines(ipvs.ConnectionsFile)
	}
	if err != nil {
		g.unchecked("the size of IPVS's connection table", err)
		return
	}
	g.facts.Buckets = int(info.TableSize)
}

func (g *gathering) clock() {
	state, err := unix.Adjtimex(&unix.Timex{})
	switch {
	case err != nil:
		g.unchecked("clock", fmt.Errorf("adjtimex: %w", err))
	case state == unix.TIME_ERROR:
		g.facts.Clock = ClockFree
	default:
		g.facts.Clock = ClockInTime
	}
}
