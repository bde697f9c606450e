package director

import (
	"log/slog"
	"testing"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
)

// pathRig is a director whose pool does not run, with a path check of each of two
// real servers beside an ordinary one.
type pathRig struct {
	*Director
	t      *testing.T
	kernel *model
	paths  []healthcheck.Spec
}

func newPathRig(t *testing.T, left func(*config.Config, State)) *pathRig {
	t.Helper()
	c := relayConfig()
	byVIP(c, everyServer)
	r := &pathRig{t: t, kernel: newModel()}
	for _, server := range c.Services[0].RealServers {
		r.paths = append(r.paths, server.Checks[1])
	}
	r.kernel.change(func(s State) { left(c, s) })
	r.Director = New(Options{Config: c, Kernel: r.kernel, Network: r.kernel, Log: slog.New(slog.DiscardHandler)})
	first, err := r.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.adopt(Memory{}, first); err != nil {
		t.Fatal(err)
	}
	r.setStandings(t.Context(), c)
	return r
}

// want checks which path checks are asked.
func (r *pathRig) want(when string, asked ...bool) {
	r.t.Helper()
	all := true
	for i, spec := range r.paths {
		if _, there := r.pool.Status(spec); there != asked[i] {
			r.t.Errorf("%s: %v is asked: %v", when, spec, there)
		}
		all = all && asked[i]
	}
	if waits := r.answered() == nil; waits == all {
		r.t.Errorf("%s: readiness waits for a path: %v", when, waits)
	}
}

// TestPathChecksWaitForTheirPath: none is asked before the kernel has the service
// that takes the probe to its server, and readiness waits for that.
func TestPathChecksWaitForTheirPath(t *testing.T) {
	r := newPathRig(t, func(*config.Config, State) {})
	if _, there := r.pool.Status(r.derived.config.Services[0].RealServers[0].Checks[0]); !there {
		t.Error("an ordinary check waits too")
	}
	r.want("before the first pass", false, false)
	lost := pathKey(r.paths[1])
	r.kernel.fail = func(op Op) error {
		if key, ok := serviceKeyOf(op); ok && key == lost {
			return errInjected
		}
		return nil
	}
	if err := r.bring(t.Context(), false); err == nil {
		t.Error("an injected failure went unseen")
	}
	r.want("while one service cannot be made", true, false)
	r.kernel.fail = nil
	r.pass()
	r.want("after the first pass", true, true)

	r.complete = true
	r.kernel.change(func(s State) { delete(s.Services, lost) })
	r.kernel.fail = func(Op) error { return errInjected }
	_ = r.bring(t.Context(), false)
	r.want("when a service is gone", true, false)
	r.kernel.fail = nil
	r.pass()
	r.want("when it is back", true, true)

	// A mark that takes the probe to another server is not the path.
	r.complete = true
	r.kernel.change(func(s State) {
		service := s.Services[lost]
		service.RealServers = []ipvs.Destination{s.Services[pathKey(r.paths[0])].RealServers[0]}
		s.Services[lost] = service
	})
	r.kernel.fail = func(Op) error { return errInjected }
	_ = r.bring(t.Context(), false)
	r.want("when a mark is of another server", true, false)
}

func (r *pathRig) pass() {
	r.t.Helper()
	r.complete = true
	if err := r.bring(r.t.Context(), false); err != nil {
		r.t.Fatal(err)
	}
}

// TestPathChecksWaitAsTheyWere: what a predecessor found stands while a check
// waits for its path, and after that.
func TestPathChecksWaitAsTheyWere(t *testing.T) {
	var key ipvs.ServiceKey
	r := newPathRig(t, func(c *config.Config, s State) {
		plain := relayConfig()
		key = plain.Services[0].IPVS.ServiceKey
		s.Services[key] = Plan(Facts{Config: plain, Up: upOf(allUp(plain))}).Services[key]
	})
	for _, when := range []string{"before the first pass", "after it"} {
		for _, spec := range r.paths {
			if status := r.checkStatus(spec); !status.Up || !status.Inherited || time.Since(status.Since) > time.Hour {
				t.Errorf("%s: %v is %+v", when, spec, status)
			}
		}
		r.pass()
		for _, server := range r.kernel.now().Services[key].RealServers {
			if server.Weight == 0 {
				t.Errorf("%s: %v was taken out", when, server.Address)
			}
		}
	}
	r.want("after it", true, true)
}

// TestPathChecksOfAReload: those that are new wait for their own pass.
func TestPathChecksOfAReload(t *testing.T) {
	plain := relayConfig()
	r := newPathRig(t, func(*config.Config, State) {})
	next := r.derived.config
	r.configure(plain)
	if err := r.check(plain, r.view.have); err != nil {
		t.Fatal(err)
	}
	if r.answered() == nil {
		t.Error("readiness waits for a path although there is no path check")
	}
	r.pass()
	r.configure(next)
	if err := r.check(next, r.view.have); err != nil {
		t.Fatal(err)
	}
	r.want("before the pass of a reload", false, false)
	r.pass()
	r.want("after it", true, true)
}

func TestGraceHasWarmup(t *testing.T) {
	c := relayConfig()
	server := &c.Services[0].RealServers[0]
	check := server.Checks[0].Check()
	check.Interval, check.Timeout, check.Warmup = 5*time.Second, time.Second, 7*time.Second
	c.Services[0].RealServers = c.Services[0].RealServers[:1]
	server.Checks[0] = check.Of(server.Address)
	if got := grace(c); got != 8*time.Second {
		t.Errorf("grace is %v, want 8s", got)
	}
	check.Warmup = 0
	server.Checks[0] = check.Of(server.Address)
	if got := grace(c); got != 2*time.Second {
		t.Errorf("without a warm-up grace is %v, want 2s", got)
	}
}
