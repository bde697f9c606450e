package healthcheck

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// With fewer descriptors than there are checks, every check is carried out, and
// nobody is called down. The limit is a process's own, so another one runs into
// it, and the servers remain here.
func TestPoolWithFewDescriptors(t *testing.T) {
	const servers = "HEALTHCHECK_TEST_SERVERS"
	if targets := os.Getenv(servers); targets != "" {
		checkWithFewDescriptors(t, strings.Fields(targets))
		return
	}
	patient := func(conn net.Conn) {
		<-time.After(time.Second)
		fmt.Fprint(conn, "220 mx\r\n")
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			fmt.Fprint(conn, "250 mx\r\n")
		}
	}
	command := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), servers+"="+servertest.Serve(t, patient).String()+" "+servertest.Serve(t, servertest.Silent).String())
	if output, err := command.CombinedOutput(); err != nil || !strings.Contains(string(output), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, output)
	}
}

func checkWithFewDescriptors(t *testing.T, targets []string) {
	limit := unix.Rlimit{Cur: 30, Max: 30}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	// The rest of a process needs some as well, here more than the reserve.
	for range 12 {
		other, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
	}
	var specs []Spec
	for i := range 50 {
		often := func(c *Check) {
			c.Interval, c.Warmup, c.Timeout = time.Second, time.Second, time.Minute+time.Duration(i)
		}
		specs = append(specs,
			specOf(mail, netip.MustParseAddrPort(targets[0]), often),
			specOf(probe.TCP{}, netip.MustParseAddrPort(targets[1]), often))
	}
	short := make(chan Notice, 10)
	pool := NewPool(Limits{PerHost: 1000}, func(c Change) {
		if c.To != Up {
			t.Errorf("%v is %v: %+v", c.Spec, c.To, c.Result)
		}
	}, func(n Notice) { short <- n })
	if err := pool.Update(specs); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- pool.Run(ctx) }()
	for {
		if n := <-short; n.Kind == Delayed && strings.Contains(n.Text, "no file descriptors left, the limit is 30") {
			break
		}
	}
	<-pool.Answered()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for s, status := range pool.All() {
		if status.Inconclusive+status.Failures != 0 {
			t.Errorf("%v: %+v", s, status)
		}
	}
}
