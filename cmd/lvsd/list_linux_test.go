package main

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/integration/lab"
)

// listState is a table with each of the services that listArguments select.
const listState = `
-A -t 192.0.2.1:80 -s wlc -p 60
-a -t 192.0.2.1:80 -r 198.51.100.1:80 -g -w 3 -x 100 -y 50
-a -t 192.0.2.1:80 -r 10.0.0.1:80 -i
-A -u 192.0.2.1:53 -s rr -o
-a -u 192.0.2.1:53 -r 198.51.100.1:53 -m
-A --sctp-service 192.0.2.1:3868 -s sh -b sh-port
-A -f 7 -s mh
-A -f 7 -6 -s rr
-a -f 7 -6 -r [2001:db8::1]:0 -g
`

// TestListAgainstIPVSADM compares list with ipvsadm for every pair of options:
// the same output, or refused by both.
func TestListAgainstIPVSADM(t *testing.T) {
	enterNamespace(t)
	for line := range strings.Lines(strings.TrimSpace(listState)) {
		if out, err := exec.CommandContext(t.Context(), "ipvsadm", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ipvsadm %s: %v: %s", line, err, out)
		}
	}
	options := slices.Sorted(maps.Keys(listArguments))
	slices.Reverse(options) // ipvsadm wants -6 after -f
	moveToEnd(options, "ipv6")
	for i, first := range options {
		for _, second := range options[i+1:] {
			// -c reads the connections of the process, not those of the thread.
			if first != "connection" && second != "connection" {
				compareListing(t, first, second)
			}
		}
	}
}

func moveToEnd(all []string, one string) {
	i := slices.Index(all, one)
	copy(all[i:], all[i+1:])
	all[len(all)-1] = one
}

func compareListing(t *testing.T, options ...string) {
	t.Helper()
	arguments := []string{"list"}
	for _, option := range options {
		arguments = append(arguments, strings.Fields(listArguments[option])...)
	}
	code, stdout, stderr := lvsd(t, arguments...)
	theirs := []string{"-L"} // ipvsadm wants the command first
	if slices.Contains(options, "save") {
		theirs[0] = "-S"
	}
	for _, argument := range arguments[1:] {
		if argument != "-S" {
			theirs = append(theirs, argument)
		}
	}
	want, err := exec.CommandContext(t.Context(), "ipvsadm", theirs...).Output()
	if (err == nil) != (code == exitOK) {
		t.Errorf("lvsd %v: exit code %d, %s; ipvsadm %v: %v", arguments, code, stderr, theirs, err)
	} else if diff := cmp.Diff(string(want), stdout); diff != "" {
		t.Errorf("%v (-ipvsadm +lvsd)\n%s", arguments, diff)
	}
}

func TestListUnknownService(t *testing.T) {
	enterNamespace(t)
	code, stdout, stderr := lvsd(t, "list", "-n", "-t", "192.0.2.1:80")
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, "tcp 192.0.2.1:80: does not exist") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}

// enterNamespace moves the test into a new network namespace with IPVS.
func enterNamespace(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		lab.Missing(t, lab.NeedIPVS, errors.New("not root"))
	}
	if _, err := exec.LookPath("ipvsadm"); err != nil {
		lab.Missing(t, lab.NeedIPVS, err)
	}
	runtime.LockOSThread()
	before, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	inside, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(netns.Set(before), before.Close(), inside.Close()); err != nil {
			t.Fatal(err)
		}
		runtime.UnlockOSThread()
	})
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
	client, err := ipvs.Open()
	if errors.Is(err, ipvs.ErrUnavailable) {
		lab.Missing(t, lab.NeedIPVS, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
}
