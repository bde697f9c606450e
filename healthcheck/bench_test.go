package healthcheck

import (
	"context"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// BenchmarkPool keeps checks going that connect to their own addresses each
// second. An operation is a second; it reports what a check costs in CPU time,
// the kernel's included, and, once its history is full, in memory.
func BenchmarkPool(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) { benchmarkPool(b, n) })
	}
}

func benchmarkPool(b *testing.B, n int) {
	port := deferring(b)
	how := Check{
		Kind:     probe.TCP{},
		Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 1,
	}
	before := heapInUse()
	var specs []Spec
	for i := range n {
		specs = append(specs, how.Of(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), port)))
	}
	pool := NewPool(Limits{}, func(Change) {}, func(Notice) {})
	if err := pool.Update(specs); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- pool.Run(ctx) }()
	<-pool.Answered()

	cpu, checks := cpuTime(b), successes(b, pool)
	for b.Loop() {
		<-time.After(time.Second)
	}
	spent := cpuTime(b) - cpu
	checks = successes(b, pool) - checks
	b.ReportMetric(float64(spent.Microseconds())/float64(checks), "cpu-µs/check")
	b.ReportMetric(float64(checks)/float64(b.N), "checks/s")
	b.ReportMetric(float64(heapInUse()-before)/float64(n), "heap-B/check")
	b.ReportMetric(0, "ns/op")
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
}

// successes is how many the checks of the pool had; one without fails the test.
func successes(b *testing.B, pool *Pool) (n uint64) {
	for s, status := range pool.All() {
		if status.State != Up {
			b.Fatalf("%v is %v: %+v", s, status.State, status.Last)
		}
		n += status.Successes
	}
	return n
}

// deferring returns the port of a listener on all addresses that leaves
// connections to the kernel until they send something: nobody need accept them.
func deferring(b *testing.B) uint16 {
	b.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_DEFER_ACCEPT, 60); err != nil {
		b.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{}); err != nil {
		b.Fatal(err)
	}
	if err := unix.Listen(fd, 4096); err != nil {
		b.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		b.Fatal(err)
	}
	return uint16(name.(*unix.SockaddrInet4).Port)
}

func cpuTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
