package ipvs
import "testing"
func TestKernelZZProbe(t *testing.T) {
	c := openInNamespace(t)
	e := entry(Service{ServiceKey: key(TCP, "192.0.2.1:25"), Scheduler: "wlc"}, Destination{Forwarding: DirectRoute})
	write(t, c, e)
	d := e.Destinations[0].Destination
	for _, u := range []uint32{1<<16, 1<<24, 1<<30, 1<<31-1, 1<<31, 1<<31+1, 1<<32-1} {
		d.Upper = u; d.Lower=0
		e1 := c.UpdateDestination(e.ServiceKey, d)
		d.Lower = u
		e2 := c.UpdateDestination(e.ServiceKey, d)
		t.Log(u, e1, e2)
	}
	d.Upper,d.Lower=0,0
	for _, w := range []int{65536, 70000, 1<<24, 1<<30, 1<<31-1, -1} {
		d.Weight = w
		t.Log(w, c.do(operation{name: opUpdateDestination}, commandUpdateDestination, appendDestination(appendServiceKey(nil, e.ServiceKey), d)))
		s, _ := c.Services()
		t.Log(s[0].Destinations[0].Weight)
	}
	for _, s := range []Service{
		{ServiceKey: key(TCP, "192.0.2.1:0"), Scheduler:"rr", Granularity:32},
		{ServiceKey: key(50, "192.0.2.1:5"), Scheduler:"rr", Granularity:32},
		{ServiceKey: key(TCP, "224.0.0.1:5"), Scheduler:"rr", Granularity:32},
		{ServiceKey: key(TCP, "0.0.0.0:5"), Scheduler:"rr", Granularity:32},
		{ServiceKey: key(TCP, "[::]:5"), Scheduler:"rr", Granularity:128},
		{ServiceKey: key(TCP, "192.0.2.1:6"), Scheduler:"rr", Granularity:0},
		{ServiceKey: key(TCP, "192.0.2.1:7"), Scheduler:"rr", Granularity:0, Flags: 0xffffffff},
		{ServiceKey: key(TCP, "192.0.2.1:8"), Scheduler:"rr", Granularity:24, Engine: "sip"},
		{ServiceKey: key(TCP, "192.0.2.1:9"), Scheduler:"rr", Granularity:24, Flags: OnePacket},
		{ServiceKey: key(TCP, "192.0.2.1:10"), Scheduler:"rr", Granularity:24, Engine: "nosuch", Flags: Persistent},
	} {
		t.Log(s, c.AddService(s))
	}
	all, _ := c.Services()
	for _, s := range all { t.Logf("%v %#x", s.Service, s.Flags) }
}
