package iptables

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// backends are the two commands that Debian's iptables may be.
var backends = []string{"iptables-nft", "iptables-legacy"}

// onBackends runs f on a fresh host for each backend.
func onBackends(t *testing.T, f func(t *testing.T, h host, table *Table, backend string)) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			need(t, "netns", backend)
			h := newHost(t)
			f(t, h, openTable(t, backend), backend)
		})
	}
}

// openTable opens the table of the host where the test is.
func openTable(t *testing.T, backend string) *Table {
	t.Helper()
	table, err := open(backend, time.Minute, smtp.Chain())
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// redirects lists the rules as text, one each.
func redirects(t *testing.T, table *Table) []string {
	t.Helper()
	return texts(t, list(t, table, smtp.Chain()))
}

// list lists the tagged rules of the chains.
func list(t *testing.T, table *Table, chains ...Chain) []Tagged {
	t.Helper()
	rules, err := table.List(t.Context(), chains...)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func texts(t *testing.T, rules []Tagged) []string {
	t.Helper()
	var text []string
	for _, rule := range rules {
		if rule.Rule != nil {
			text = append(text, rule.Rule.String())
		} else {
			text = append(text, "unknown: "+strings.Join(rule.Spec, " "))
		}
	}
	return text
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func succeed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	smtp = Redirect{VIP: vip, Protocol: "tcp", Port: 25, NewOnly: true}
	dns  = Redirect{VIP: vip, Protocol: "udp", Port: 53}
	all  = Redirect{VIP: vip, Protocol: "tcp"}
)

func TestNew(t *testing.T) {
	need(t, "netns", "iptables")
	newHost(t)
	table, err := New(time.Minute, Chains()...)
	succeed(t, err)
	equal(t, "rules of a fresh host", redirects(t, table), nil)
}

func TestNewWithoutCommand(t *testing.T) {
	if _, err := open("no-such-iptables", time.Second, smtp.Chain()); err == nil || !strings.Contains(err.Error(), "no-such-iptables") {
		t.Errorf("got error %v, want one that names the command", err)
	}
}

func TestAddAndDelete(t *testing.T) {
	onBackends(t, func(t *testing.T, h host, table *Table, backend string) {
		h.run(backend, "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "-j", "ACCEPT")
		foreign := h.run(backend, "-t", "nat", "-S")

		for range 2 {
			for _, r := range []Redirect{smtp, dns, all} {
				succeed(t, table.Add(t.Context(), r))
			}
		}
		equal(t, "after two rounds of Add", redirects(t, table), []string{all.String(), dns.String(), smtp.String()})
		chain := h.run(backend, "-t", "nat", "-S", "PREROUTING")
		if want := "-A PREROUTING -p tcp -j ACCEPT\n"; !strings.HasSuffix(chain, want) {
			t.Errorf("the foreign rule must come after lvsd's:\n%s", chain)
		}

		for range 2 {
			succeed(t, table.Delete(t.Context(), dns))
		}
		equal(t, "after Delete", redirects(t, table), []string{all.String(), smtp.String()})
		for _, r := range []Redirect{smtp, dns, all} {
			succeed(t, table.Delete(t.Context(), r))
		}
		if got := h.run(backend, "-t", "nat", "-S"); got != foreign {
			t.Errorf("the table is not as it was (-before +after):\n%s", cmp.Diff(foreign, got))
		}
	})
}

func TestDeleteAllCopies(t *testing.T) {
	onBackends(t, func(t *testing.T, h host, table *Table, backend string) {
		for range 3 {
			h.run(backend, append([]string{"-t", "nat", "-A", "PREROUTING"}, smtp.spec()...)...)
		}
		succeed(t, table.Add(t.Context(), smtp))
		equal(t, "three copies", redirects(t, table), []string{smtp.String(), smtp.String(), smtp.String()})

		rules := list(t, table, smtp.Chain())
		succeed(t, table.Remove(t.Context(), rules[1]))
		equal(t, "after Remove of one", redirects(t, table), []string{smtp.String(), smtp.String()})
		succeed(t, table.Delete(t.Context(), smtp))
		equal(t, "after Delete", redirects(t, table), nil)
		succeed(t, table.Remove(t.Context(), rules[1]))
	})
}

func TestRemoveUnknown(t *testing.T) {
	onBackends(t, func(t *testing.T, h host, table *Table, backend string) {
		spec := "-d 10.1.0.0/24 -p udp -m udp --dport 53 -m comment --comment lvsd -j REDIRECT --to-ports 5353"
		h.run(backend, append([]string{"-t", "nat", "-A", "PREROUTING"}, strings.Fields(spec)...)...)
		quoted := []string{"-t", "nat", "-A", "PREROUTING", "-m", "comment", "--comment", `it's "not" lvsd \`, "-j", "ACCEPT"}
		h.run(backend, quoted...)
		equal(t, "with an unknown rule", redirects(t, table), []string{"unknown: " + spec})

		rules := list(t, table, smtp.Chain())
		for _, rule := range rules {
			succeed(t, table.Remove(t.Context(), rule))
		}
		equal(t, "after Remove", redirects(t, table), nil)
		quoted[2] = "-C"
		h.run(backend, quoted...)
	})
}

func TestFlushIsSeen(t *testing.T) {
	onBackends(t, func(t *testing.T, h host, table *Table, backend string) {
		succeed(t, table.Add(t.Context(), smtp))
		h.run(backend, "-t", "nat", "-F")
		equal(t, "after a flush", redirects(t, table), nil)
		succeed(t, table.Add(t.Context(), smtp))
		equal(t, "after repair", redirects(t, table), []string{smtp.String()})
	})
}

func TestHold(t *testing.T) {
	onBackends(t, func(t *testing.T, h host, table *Table, backend string) {
		for range 2 {
			succeed(t, table.Add(t.Context(), Hold{}))
		}
		equal(t, "after two calls", texts(t, list(t, table, Hold{}.Chain())), []string{Hold{}.String()})
		if holds := strings.Count(h.run(backend, "-t", "mangle", "-S"), tag); holds != 1 {
			t.Errorf("held by %d rules after two calls, want by 1", holds)
		}
		for range 2 {
			succeed(t, table.Delete(t.Context(), Hold{}))
		}
		equal(t, "after release", texts(t, list(t, table, Hold{}.Chain())), nil)
	})
}

// TestLocked has somebody hold the xtables lock, which only the legacy backend
// knows. The lock is a file of the test's own, not the machine's.
func TestLocked(t *testing.T) {
	need(t, "netns", "iptables-legacy")
	h := newHost(t)
	file := filepath.Join(t.TempDir(), "xtables.lock")
	t.Setenv("XTABLES_LOCKFILE", file)
	table, err := open("iptables-legacy", time.Millisecond, smtp.Chain())
	succeed(t, err)

	lock, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	succeed(t, err)
	defer lock.Close()
	succeed(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	if err := table.Add(t.Context(), smtp); !errors.Is(err, ErrLocked) {
		t.Errorf("Add while the lock is held: got %v, want ErrLocked", err)
	}

	succeed(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_UN))
	h.enter()
	succeed(t, table.Add(t.Context(), smtp))
	equal(t, "after the lock was free", redirects(t, table), []string{smtp.String()})
}

func TestCancelled(t *testing.T) {
	onBackends(t, func(t *testing.T, _ host, table *Table, backend string) {
		succeed(t, table.Add(t.Context(), smtp))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, listed := table.List(ctx, smtp.Chain())
		for what, err := range map[string]error{
			"List":   listed,
			"Add":    table.Add(ctx, dns),
			"Delete": table.Delete(ctx, smtp),
			"Remove": table.Remove(ctx, Tagged{Chain: smtp.Chain(), Spec: smtp.spec()}),
		} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %v, want context.Canceled", what, err)
			}
		}
		equal(t, "rules after cancelled calls", redirects(t, table), []string{smtp.String()})
	})
}

// TestUnprivileged has a host whose user may not touch the tables: the error
// must say what is missing.
func TestUnprivileged(t *testing.T) {
	need(t, "netns", "setpriv")
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			need(t, backend)
			newHost(t)
			t.Setenv("XTABLES_LOCKFILE", filepath.Join(t.TempDir(), "xtables.lock"))
			script := filepath.Join(t.TempDir(), "iptables")
			text := "#!/bin/sh\nexec setpriv --bounding-set=-all --inh-caps=-all --reuid=65534 " + backend + ` "$@"` + "\n"
			succeed(t, os.WriteFile(script, []byte(text), 0o755))
			if _, err := open(script, time.Second, smtp.Chain()); err == nil || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
				t.Errorf("got error %v, want one that names CAP_NET_ADMIN", err)
			}
		})
	}
}

// TestList lists several chains of both families at once, and no others.
func TestList(t *testing.T) {
	onBackends(t, func(t *testing.T, h host, table *Table, backend string) {
		mark, mark6 := Mark{vip, "tcp", 80, 80, 7}, Mark{vip6, "", 0, 0, 8}
		for _, r := range []Rule{smtp, mark, mark6, Hold{}} {
			succeed(t, table.Add(t.Context(), r))
		}
		stray := "-d 10.1.0.100/32 -m comment --comment lvsd -j ACCEPT"
		h.run(backend, append([]string{"-t", "mangle", "-A", "FORWARD"}, strings.Fields(stray)...)...)
		want := []string{smtp.String(), mark.String(), Hold{}.String(), "unknown: " + stray, mark6.String()}
		found := list(t, table, Chains()...)
		equal(t, "all chains", texts(t, found), want)
		equal(t, "some chains", texts(t, list(t, table, smtp.Chain(), mark.Chain())), want[:2])
		if got := found[3].Deletion(); got != "iptables -t mangle -D FORWARD "+stray {
			t.Errorf("the stray is deleted by %q", got)
		}
		for _, rule := range found {
			succeed(t, table.Remove(t.Context(), rule))
		}
		equal(t, "after Remove of all", texts(t, list(t, table, Chains()...)), nil)
	})
}

// TestPresentMakesNoTables: to look for rules of a predecessor must not turn
// connection tracking on, as listing a table of the legacy backend does.
func TestPresentMakesNoTables(t *testing.T) {
	need(t, "netns", "iptables-legacy")
	h := newHost(t)
	mangle := Mark{VIP: vip}.Chain()
	table, err := open("iptables-legacy", time.Minute, mangle)
	succeed(t, err)
	h.enter()
	got := table.Present(Chains())
	equal(t, "present", strs(got), []string{mangle.String(), Hold{}.Chain().String(), Mute{VIP: vip}.Chain().String()})
	names, err := os.ReadFile("/proc/thread-self/net/ip_tables_names")
	succeed(t, err)
	if string(names) != "mangle\n" {
		t.Errorf("tables %q, want mangle only", names)
	}
}

func strs(chains []Chain) []string {
	var text []string
	for _, c := range chains {
		text = append(text, c.String())
	}
	return text
}
