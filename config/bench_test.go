package config

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// largeDocument is a file of as many services, on VIPs of one instance, as the
// argument says, with ten real servers each.
func largeDocument(services int) string {
	const ports = 20
	var b strings.Builder
	b.WriteString("[[vrrp]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 20\nvips = [")
	for vip := range (services + ports - 1) / ports {
		fmt.Fprintf(&b, "%q, ", fmt.Sprintf("192.0.2.%d", vip+1))
	}
	b.WriteString("]\n")
	for s := range services {
		fmt.Fprintf(&b, "\n[[virtual_service]]\naddress = \"192.0.2.%d:%d\"\nprotocol = \"tcp\"\nscheduler = \"wrr\"\n", s/ports+1, 8000+s%ports)
		b.WriteString("\n  [virtual_service.check]\n  type = \"tcp\"\n")
		for server := range 10 {
			fmt.Fprintf(&b, "\n  [[virtual_service.real_server]]\n  address = \"10.%d.%d.%d\"\n  weight = %d\n", s/200, s%200, server+1, server+1)
		}
	}
	return b.String()
}

// BenchmarkParse shows that the cost of a file grows with its length and no
// faster: ns/server should be the same in every line.
func BenchmarkParse(b *testing.B) {
	for _, services := range []int{100, 1000, 5000} {
		b.Run(fmt.Sprintf("%dx10", services), func(b *testing.B) {
			data := []byte(largeDocument(services))
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				cfg, err := Parse("large.toml", data, "relay1")
				if err != nil {
					b.Fatal(err)
				}
				runtime.KeepAlive(cfg)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*services*10), "ns/server")
		})
	}
}

// BenchmarkReload is a file of which one line has changed.
func BenchmarkReload(b *testing.B) {
	for _, services := range []int{100, 1000, 5000} {
		b.Run(fmt.Sprintf("%dx10", services), func(b *testing.B) {
			text := largeDocument(services)
			half := len(text) / 2
			files := [][]byte{[]byte(text), []byte(text[:half] + strings.Replace(text[half:], "weight = 7", "weight = 8", 1))}
			cache := new(Cache)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				cfg, err := cache.Parse("large.toml", files[n%2], "relay1")
				if err != nil {
					b.Fatal(err)
				}
				runtime.KeepAlive(cfg)
			}
		})
	}
}
