package ipvsadm

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/lvsd/lvsd/director/ipvs"
)

// TestCountersAgainstIPVSADM compares counters and rates after so many bytes
// that they are shortened.
func TestCountersAgainstIPVSADM(t *testing.T) {
	const enough = 110e6
	c := openInNamespace(t)
	addAddresses(t, "10.9.0.100/32", "10.9.0.11/32")
	ipvsadm(t, strings.Fields("-A -t 10.9.0.100:80 -s rr -p 60")...)
	ipvsadm(t, strings.Fields("-a -t 10.9.0.100:80 -r 10.9.0.11:8080 -m")...)
	received := discard(t, "10.9.0.11:8080")
	conn, err := net.Dial("tcp", "10.9.0.100:80")
	fatal(t, err)
	chunk := make([]byte, 1<<20)
	for sent := 0; sent < enough; {
		n, err := conn.Write(chunk)
		fatal(t, err)
		sent += n
	}
	fatal(t, conn.Close())
	if got := <-received; got < enough {
		t.Fatalf("the server received %d bytes", got)
	}
	// The kernel adds the counters up every two seconds.
	for begin := time.Now(); !strings.Contains(ipvsadm(t, "-Ln", "--stats"), "K "); {
		if time.Since(begin) > 5*time.Minute {
			t.Fatal("no counter is shortened")
		}
	}
	info, err := c.Info()
	fatal(t, err)
	for columns, option := range formats {
		for exact, e := range map[string]bool{"": false, "--exact": true} {
			options := strings.Fields(strings.Join([]string{"-Ln", columns, exact}, " "))
			untilEqual(t, strings.Join(options, " "), func() (want, got string) {
				services, err := c.Services()
				fatal(t, err)
				var out bytes.Buffer
				fatal(t, WriteTable(&out, info, services, Options{Columns: option, Exact: e}))
				return ipvsadm(t, options...), out.String()
			})
		}
	}
}

// discard takes one connection and tells how many bytes came.
func discard(t *testing.T, address string) <-chan int64 {
	t.Helper()
	l, err := net.Listen("tcp", address)
	fatal(t, err)
	received := make(chan int64, 1)
	go func() {
		defer l.Close()
		conn, err := l.Accept()
		if err != nil {
			received <- 0
			return
		}
		defer conn.Close()
		n, _ := io.Copy(io.Discard, conn)
		received <- n
	}()
	return received
}

func TestTimeoutsAgainstIPVSADM(t *testing.T) {
	c := openInNamespace(t)
	for _, set := range []ipvs.Timeouts{
		{}, {TCP: time.Second, TCPFin: 2 * time.Second, UDP: 31 * 24 * time.Hour}, {UDP: 7 * time.Second},
	} {
		fatal(t, c.SetTimeouts(set))
		timeouts, err := c.Timeouts()
		fatal(t, err)
		var got bytes.Buffer
		fatal(t, WriteTimeouts(&got, timeouts))
		if want := ipvsadm(t, "-L", "--timeout"); got.String() != want {
			t.Errorf("got %q, want %q", &got, want)
		}
	}
}

func TestDaemonsAgainstIPVSADM(t *testing.T) {
	c := openInNamespace(t)
	device := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "sync0"}}
	fatal(t, netlink.LinkAdd(device))
	fatal(t, netlink.LinkSetUp(device))
	for _, start := range []ipvs.Daemon{
		{},
		{State: ipvs.DaemonBackup, Interface: "sync0", ID: 51},
		{
			State: ipvs.DaemonMaster, Interface: "sync0", ID: 7, MaxLen: 1300,
			Group: netip.MustParseAddr("ff05::81"), Port: 9000, TTL: 3,
		},
	} {
		if start.State != 0 {
			fatal(t, c.StartDaemon(start))
		}
		daemons, err := c.Daemons()
		fatal(t, err)
		var got bytes.Buffer
		fatal(t, WriteDaemons(&got, daemons))
		if want := ipvsadm(t, "-L", "--daemon"); got.String() != want {
			t.Errorf("got %q, want %q", &got, want)
		}
	}
}
