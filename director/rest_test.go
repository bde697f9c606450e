package director

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// slow is a kernel whose reading takes a while.
type slow struct {
	*model
	took, cost time.Duration
}

func (s slow) Read(ctx context.Context, sysctls []string) (Snapshot, error) {
	pause(ctx, s.took)
	snapshot, err := s.model.Read(ctx, sysctls)
	snapshot.Cost = s.cost
	return snapshot, err
}

// TestRestCostsLittle: while nothing happens a kernel that is slow to read is
// read less often, and a change is not kept waiting by that. Where others keep the
// machine busy, it is not lvsd's reading that is slow.
func TestRestCostsLittle(t *testing.T) {
	for _, test := range []struct{ took, cost, resync, want time.Duration }{
		{0, 0, time.Second, time.Second},
		{50 * time.Millisecond, 0, time.Second, time.Second},
		{200 * time.Millisecond, 0, time.Second, 4 * time.Second},
		{10 * time.Second, 0, time.Second, maxRest},
		{10 * time.Second, 0, time.Hour, time.Hour},
		{10 * time.Second, time.Millisecond, time.Second, time.Second},
		{10 * time.Second, 200 * time.Millisecond, time.Second, 4 * time.Second},
		{200 * time.Millisecond, 10 * time.Second, time.Second, 4 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := farm(2, 1)
			c.Global.Resync = test.resync
			s := newSteps(t, c)
			s.Kernel = slow{s.kernel, test.took, test.cost}
			s.readAt = time.Now()
			s.step()
			if got := time.Until(s.wakeAt()); got != test.want {
				t.Errorf("a look took %v: the next is in %v, want %v", test.took, got, test.want)
			}
			began := time.Now()
			s.verdict(c.Services[0].RealServers[0].Checks[0], false)
			s.step()
			if took := time.Since(began); took != 0 || len(s.kernel.takeDone()) == 0 {
				t.Errorf("a verdict waited %v", took)
			}
			s.signal()
			s.step()
			if took := time.Since(began); took != test.took {
				t.Errorf("an event was met in %v, want %v", took, test.took)
			}
		})
	}
}

// counting is a kernel that counts how often it is read, in all and before it is
// first changed.
type counting struct {
	*model
	reads, before atomic.Int32
}

func (c *counting) Read(ctx context.Context, sysctls []string) (Snapshot, error) {
	c.reads.Add(1)
	return c.model.Read(ctx, sysctls)
}

func (c *counting) Do(ctx context.Context, ops []Op) []error {
	c.before.CompareAndSwap(0, c.reads.Load())
	return c.model.Do(ctx, ops)
}

// TestStartReadsTheKernelOnce: what is read to take over from a predecessor is
// what is planned from, with the kernel parameters that the predecessor changed.
func TestStartReadsTheKernelOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const name = "net.ipv4.vs.expire_nodest_conn"
		n := newNode(t, vrrptest.New(), 1)
		n.kernel.change(func(s State) { s.Sysctls[name] = "1" })
		if err := n.memory.Save(Memory{Sysctls: map[string]string{name: "0"}}); err != nil {
			t.Fatal(err)
		}
		kernel, applied := &counting{model: n.kernel}, 0
		d := New(Options{
			Config: n.config, Kernel: kernel, Network: n.kernel, Dial: n.dial,
			Memory: n.memory, Holds: n.holds, Log: slog.New(slog.NewTextHandler(n.log, nil)),
			Applied: func() { applied++ },
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		synctest.Wait()
		if got := kernel.before.Load(); got != 1 {
			t.Errorf("read %d times before the first change, want once", got)
		}
		if got := n.kernel.now().Sysctls[name]; got != "0" {
			t.Errorf("%s is %q, want what it was before the predecessor", name, got)
		}
		read := kernel.reads.Load()
		advance(n.config.Global.Resync)
		if kernel.reads.Load() == read {
			t.Errorf("not read again after %v", n.config.Global.Resync)
		}
		if applied != 1 {
			t.Errorf("Applied was called %d times, want once", applied)
		}
		cancel(ErrHandOver)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
