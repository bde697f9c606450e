package director

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/vrrp"
)

// largeConfig has services of ten real servers each, so many of these in all.
func largeConfig(servers int) *config.Config {
	c := relayConfig()
	c.VRRP[0].VIPs, c.Services = nil, nil
	for i := range servers / 10 {
		service := relayConfig().Services[0]
		service.Name = fmt.Sprint("s", i)
		service.IPVS.Address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 80)
		service.RealServers = nil
		for j := range 10 {
			server := config.RealServer{
				Address:    netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), byte(j + 1)}), 80),
				Forwarding: ipvs.DirectRoute, Weight: 1,
			}
			server.Checks = []healthcheck.Spec{checkOf(server)}
			service.RealServers = append(service.RealServers, server)
		}
		c.Services = append(c.Services, service)
	}
	return c
}

func largeFacts(servers int) Facts {
	return Facts{
		Config: largeConfig(servers), Roles: map[string]vrrp.Role{"relay": vrrp.Master}, Now: time.Now(),
		Up: func(healthcheck.Spec) bool { return true },
	}
}

// benchmarkSizes shows how the time grows: per real server it should not.
func benchmarkSizes(b *testing.B, run func(b *testing.B, f Facts)) {
	for _, servers := range []int{1000, 5000, 10000, 50000} {
		b.Run(fmt.Sprint(servers), func(b *testing.B) {
			f := largeFacts(servers)
			b.ReportAllocs()
			run(b, f)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(servers), "ns/server")
		})
	}
}

func BenchmarkPlan(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, f Facts) {
		for b.Loop() {
			Plan(f)
		}
	})
}

// BenchmarkSnapshotState is reading in what a kernel at rest lists.
func BenchmarkSnapshotState(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, f Facts) {
		snapshot, owned := snapshotOf(Plan(f)), OwnedBy(f.Config)
		for b.Loop() {
			snapshot.State(owned)
		}
	})
}

func BenchmarkDiff(b *testing.B) {
	b.Run("at-rest", func(b *testing.B) {
		benchmarkSizes(b, func(b *testing.B, f Facts) {
			have, want := Plan(f), Plan(f)
			for b.Loop() {
				Diff(have, want)
			}
		})
	})
	b.Run("from-nothing", func(b *testing.B) {
		benchmarkSizes(b, func(b *testing.B, f Facts) {
			want := Plan(f)
			for b.Loop() {
				Diff(NewState(), want)
			}
		})
	})
	b.Run("every-weight", func(b *testing.B) {
		benchmarkSizes(b, func(b *testing.B, f Facts) {
			have := Plan(f)
			f.Up = func(healthcheck.Spec) bool { return false }
			want := Plan(f)
			for b.Loop() {
				Diff(have, want)
			}
		})
	})
}

// BenchmarkVerdict is planning and comparing the one service of a verdict,
// whatever else there is.
func BenchmarkVerdict(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, f Facts) {
		have := Plan(f)
		service := f.Config.Services[7]
		f.Up = func(healthcheck.Spec) bool { return false }
		for b.Loop() {
			if ops := diffService(have.Services[service.IPVS.ServiceKey], planService(f, service)); len(ops) != 10 {
				b.Fatal(ops)
			}
		}
	})
}
