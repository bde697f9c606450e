package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

func TestHostsReachEachOther(t *testing.T) {
	Require(t, NeedNetns)
	l := New(t)
	a, b := l.Host("a", "10.77.0.1/24"), l.Host("b", "10.77.0.2/24")
	l.WaitFor("a to reach b", func() error { return ping(a, b) })

	b.SetCable(false)
	if err := ping(a, b); err == nil {
		t.Error("b answers with its cable pulled")
	}
	b.SetCable(true)
	l.WaitFor("b to be back", func() error { return ping(a, b) })

	b.SetLink(false)
	if err := ping(a, b); err == nil {
		t.Error("b answers with its link down")
	}
}

func TestSegment(t *testing.T) {
	Require(t, NeedNetns)
	l := New(t)
	a, b := l.Host("a", "10.77.0.1/24"), l.Host("b", "10.77.0.2/24")
	s := l.Segment("other")
	s.Plug(a, "eth1", "10.78.0.1/24")
	s.Plug(b, "eth1", "10.78.0.2/24")
	over := func(address string) error {
		_, err := a.Try("ping", "-n", "-c", "1", "-W", "2", address)
		return err
	}
	l.WaitFor("a to reach b over the segment", func() error { return over("10.78.0.2") })
	s.SetCable(b, false)
	if err := over("10.78.0.2"); err == nil {
		t.Error("b answers over the segment with its cable pulled")
	}
	l.WaitFor("a to reach b beside it", func() error { return ping(a, b) })
}

func TestHostHasItsOwnWorld(t *testing.T) {
	Require(t, NeedNetns)
	l := New(t)
	a, b := l.Host("a", "10.77.0.1/24"), l.Host("b", "10.77.0.2/24")
	if got := a.Run("hostname"); got != "a\n" {
		t.Errorf("host name of a is %q", got)
	}
	a.Run("touch", "/run/mark")
	if out, err := b.Try("test", "-e", "/run/mark"); err == nil {
		t.Errorf("b sees the /run of a: %s", out)
	}
	if got := b.Run("ls", "/sys/class/net"); !strings.Contains(got, LinkName) {
		t.Errorf("/sys of b shows %q, not its interface", got)
	}
}

// Two labs at once are strangers, and nothing of a lab stays.
func TestLabsCoexistAndGo(t *testing.T) {
	Require(t, NeedNetns)
	var names []string
	t.Run("labs", func(t *testing.T) {
		one, two := New(t), New(t)
		a, b := one.Host("a", "10.77.0.1/24"), two.Host("a", "10.77.0.1/24")
		d := a.Start(Command{Args: []string{"sleep", "1000"}})
		b.Start(Command{Args: []string{"sleep", "1000"}})
		names = append(names, a.Namespace(), b.Namespace(), fmt.Sprint(d.PID()))
	})
	for _, name := range names[:2] {
		if _, err := os.Stat(filepath.Join(netnsDir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("namespace %s is still there: %v", name, err)
		}
	}
	if _, err := os.Stat("/proc/" + names[2]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("process %s is still there: %v", names[2], err)
	}
}

// What a killed run left is found by its name and removed with its processes.
func TestSweep(t *testing.T) {
	Require(t, NeedNetns)
	const nobody = "1.0" // process 1 was not started at 0
	name := namePrefix + nobody + ".1.left"
	th, err := startThread(name, "left")
	if err != nil {
		t.Fatal(err)
	}
	h := &Host{Name: "left", thread: th, lab: &Lab{t: t, scale: 1}}
	d := h.Start(Command{Args: []string{"sleep", "1000"}})
	dir := filepath.Join(os.TempDir(), namePrefix+nobody+".1")
	if err := os.MkdirAll(filepath.Join(dir, "left"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := sweep(); err != nil {
		t.Fatal(err)
	}
	if err := d.Err(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the process left behind: %v, want killed", err)
	}
	for _, path := range []string{filepath.Join(netnsDir, name), dir} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	close(th.calls)
	<-th.gone
}

func TestDaemon(t *testing.T) {
	Require(t, NeedNetns)
	l := New(t)
	h := l.Host("a", "10.77.0.1/24")
	d := h.Start(Command{Args: []string{"sh", "-c", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done"}})
	l.WaitFor("the daemon", func() error {
		if d.Output() != "up\n" {
			return fmt.Errorf("it printed %q", d.Output())
		}
		return nil
	})
	d.Signal(unix.SIGSTOP)
	if err := d.Stop(); err == nil || err.Error() != "exit status 3" {
		t.Errorf("stopped with %v, want exit status 3", err)
	}
	if got := d.Output(); got != "up\nbye\n" {
		t.Errorf("printed %q", got)
	}
}

func TestRunReportsTheFailure(t *testing.T) {
	Require(t, NeedNetns)
	var log bytes.Buffer
	err := Run(t.Context(), "demo", &log, func(tb TB) {
		l := New(tb)
		h := l.Host("a", "10.77.0.1/24")
		h.Run("sh", "-c", "echo reason; exit 7")
	})
	if err == nil || !strings.Contains(err.Error(), "reason") {
		t.Errorf("error %v does not tell the reason", err)
	}
	if !strings.Contains(log.String(), "=== host a") {
		t.Errorf("no description of the hosts in %q", log.String())
	}
	if err := Run(context.Background(), "demo", io.Discard, func(TB) {}); err != nil {
		t.Errorf("success is reported as %v", err)
	}
}

func TestCapture(t *testing.T) {
	Require(t, NeedNetns, NeedTcpdump)
	l := New(t)
	a, b := l.Host("a", "10.77.0.1/24"), l.Host("b", "10.77.0.2/24")
	l.WaitFor("a to reach b", func() error { return ping(a, b) })
	c := b.Capture("icmp")
	if err := ping(a, b); err != nil {
		t.Fatal(err)
	}
	l.WaitFor("the request in the capture", func() error {
		if out := c.Print(); !strings.Contains(out, "10.77.0.1 > 10.77.0.2: ICMP echo request") {
			return fmt.Errorf("it has %q", out)
		}
		return nil
	})
	if info, err := os.Stat(c.Stop()); err != nil || info.Size() == 0 {
		t.Errorf("capture file: %v", err)
	}
}

func TestPostfixAndSMTPLoad(t *testing.T) {
	Require(t, NeedNetns, NeedPostfix)
	l := New(t)
	client := l.Host("client", "10.77.0.10/24")
	relay := l.Host("relay1", "10.77.0.1/24")
	postfix := relay.StartPostfix()

	load := client.StartSMTP(SMTPLoad{
		Target: netip.AddrPortFrom(relay.Address, 25),
		Rate:   20, Workers: 4, Held: 2, Deliver: true, HoldInterval: 20 * time.Millisecond,
	})
	l.WaitFor("sessions", func() error {
		if s := load.Summary(); s.ByRelay["relay1"] < 5 || s.Held[1].NOOPs < 3 || s.Held[2].NOOPs < 3 {
			return errors.New(s.String())
		}
		return nil
	})
	s := load.Stop()
	if s.Failures != 0 || s.Held[1].End != nil || s.Held[2].Relay != "relay1" {
		t.Errorf("failures on a quiet network:\n%v", s)
	}
	l.WaitFor("all messages in the mailbox", func() error {
		if got := postfix.Delivered(); got != s.Sessions {
			return fmt.Errorf("%d of %d", got, s.Sessions)
		}
		return nil
	})

	load = client.StartSMTP(SMTPLoad{Target: netip.AddrPortFrom(relay.Address, 25), Rate: 20, Workers: 4, Held: 1})
	l.WaitFor("a held connection", func() error {
		if s := load.Summary(); s.Held[1].NOOPs == 0 {
			return errors.New(s.String())
		}
		return nil
	})
	postfix.Kill()
	l.WaitFor("the failures to be seen", func() error {
		if s := load.Summary(); s.Failures == 0 || s.Errors[0].Error == "" {
			return errors.New(s.String())
		}
		return nil
	})
	postfix.Start()
	before := load.Summary().ByRelay["relay1"]
	l.WaitFor("deliveries to go on", func() error {
		if s := load.Summary(); s.ByRelay["relay1"] <= before {
			return errors.New(s.String())
		}
		return nil
	})
	load.Stop()
}

func TestSummarize(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	s := Summarize([]Event{
		{Time: at(1), Relay: "a", Phase: PhaseQuit, Latency: time.Second},
		{Time: at(1), Relay: "b", Held: 1, Phase: PhaseEHLO},
		{Time: at(2), Phase: PhaseConnect, Error: "refused"},
		{Time: at(3), Relay: "b", Held: 1, Phase: PhaseNOOP},
		{Time: at(5), Relay: "a", Phase: PhaseQuit, Latency: 2 * time.Second},
		{Time: at(6), Relay: "b", Held: 1, Phase: PhaseNOOP, Error: "reset"},
	}, start, at(8))
	if s.Sessions != 3 || s.Failures != 1 || s.ByRelay["a"] != 2 || len(s.ByRelay) != 1 {
		t.Errorf("sessions are miscounted: %v", s)
	}
	if s.Gap != 4*time.Second || s.Slowest != 2*time.Second {
		t.Errorf("gap %v, slowest %v, want 4s and 2s", s.Gap, s.Slowest)
	}
	if h := s.Held[1]; h.Relay != "b" || h.NOOPs != 1 || h.End == nil || h.End.Error != "reset" {
		t.Errorf("held connection %+v", h)
	}
	// A load that ends without a success has been without one to its end.
	if s := Summarize(nil, start, at(8)); s.Gap != 8*time.Second {
		t.Errorf("gap of an empty load is %v, want 8s", s.Gap)
	}
}

// ping sends one echo request.
func ping(from, to *Host) error {
	_, err := from.Try("ping", "-n", "-c", "1", "-W", "2", to.Address.String())
	return err
}
