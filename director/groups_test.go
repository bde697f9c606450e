package director

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// record is a hook that writes its arguments and some variables into a file.
func record(t *testing.T) (hook []string, lines func() []string) {
	t.Helper()
	directory := t.TempDir()
	script, file := filepath.Join(directory, "hook"), filepath.Join(directory, "ran")
	const body = "#!/bin/sh\nout=$1; shift; echo \"$*|$LVSD_GROUP|$LVSD_INSTANCE|$LVSD_PREVIOUS_STATE|$LVSD_REASON\" >>\"$out\"\n"
	if err := os.WriteFile(script, []byte(body), 0o755); err != nil {
		t.Fatal(err)
	}
	return []string{script, file}, func() []string {
		data, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return slices.Collect(strings.Lines(string(data)))
	}
}

func TestGroupMovesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inside := vrrptest.New()
		hook, ran := record(t)
		strong, weak := pair(t, func(strong, weak *node) {
			strong.group(inside)
			weak.group(inside)
			strong.config.Groups[0].Hooks = config.Hooks{Any: hook, Timeout: time.Minute}
			strong.config.Trackers = []config.Tracker{{Name: "uplink", Kind: config.TrackInterface, Interface: "eth9"}}
			strong.config.Groups[0].Track = []config.Tracked{{Tracker: "uplink", Weight: -70}}
		})
		if g := strong.director.Status().Groups; len(g) != 1 || g[0].State != "master" || g[0].Name != "firewall" {
			t.Errorf("groups %+v", g)
		}
		strong.kernel.setLink("eth1", false)
		advance(3 * time.Second)
		strong.wantRole("fault")
		weak.wantRole("master")
		strong.kernel.setLink("eth1", true)
		advance(6 * time.Second)
		strong.wantRole("master")
		weak.wantRole("backup")

		strong.kernel.setLink("eth9", false) // what the group tracks is for all
		advance(3 * time.Second)
		strong.wantRole("backup")
		weak.wantRole("master")
		for _, i := range strong.director.Status().Instances {
			if i.Priority != 80 || !i.Contributions[0].Group || i.Group != "firewall" {
				t.Errorf("%s of group %q has priority %d: %+v", i.Name, i.Group, i.Priority, i.Contributions)
			}
		}
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)

		var states []string
		for _, line := range ran() {
			fields := strings.Split(line, "|")
			states = append(states, fields[0])
			if fields[1] != "firewall" || fields[2] != "" || fields[4] == "\n" {
				t.Errorf("environment of the group's hook: %q", line)
			}
		}
		want := []string{
			"GROUP firewall BACKUP 0", "GROUP firewall MASTER 0", "GROUP firewall FAULT 0", "GROUP firewall BACKUP 0",
			"GROUP firewall MASTER 0", "GROUP firewall BACKUP 0", "GROUP firewall STOP 0",
		}
		if diff := cmp.Diff(want, states); diff != "" {
			t.Errorf("hooks (-want +got):\n%s\n%s", diff, strong.log)
		}
	})
}

func TestReloadOfGroupsKeepsRoles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inside := vrrptest.New()
		strong, weak := pair(t, func(strong, weak *node) {
			strong.group(inside)
			weak.group(inside)
			strong.config.Groups, weak.config.Groups = nil, nil
		})
		reload := func(n *node, change func(*config.Config)) {
			t.Helper()
			next := newNode(t, n.lan, 1)
			next.group(inside)
			for i := range next.config.VRRP {
				next.config.VRRP[i].Router.Priority = n.config.VRRP[0].Router.Priority
				next.config.VRRP[i].Router.Source = n.address
			}
			change(next.config)
			if err := n.director.Reload(t.Context(), next.config); err != nil {
				t.Fatal(err)
			}
			advance(3 * time.Second)
		}
		for _, n := range []*node{strong, weak} {
			reload(n, func(*config.Config) {})
		}
		if g := strong.director.Status().Groups; g[0].State != "master" {
			t.Errorf("groups %+v", g)
		}
		strong.kernel.setLink("eth0", false)
		advance(3 * time.Second)
		strong.wantRole("fault")
		weak.wantRole("master")
		for _, n := range []*node{strong, weak} {
			reload(n, func(c *config.Config) { c.Groups = nil })
		}
		advance(3 * time.Second)
		i := strong.director.Status().Instances
		if i[0].State != "fault" || i[1].State != "master" || i[1].Group != "" {
			t.Errorf("without the group: %s %s", i[0].State, i[1].State)
		}
		// A member that is gone does not hold up the rest.
		strong.kernel.setLink("eth0", true)
		reload(strong, func(*config.Config) {})
		reload(strong, func(c *config.Config) {
			c.VRRP = c.VRRP[1:]
			c.Groups[0].Instances = []string{"inside"}
		})
		advance(5 * time.Second)
		if i := strong.director.Status().Instances; len(i) != 1 || i[0].State != "master" {
			t.Errorf("the member that is left: %+v\n%s", i, strong.log)
		}
		strong.kernel.setLink("eth1", false)
		advance(time.Second)
		strong.kernel.setLink("eth1", true)
		advance(5 * time.Second)
		strong.wantRole("master")
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

func TestMasterHookRunsAgainWhenARivalHasYielded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook, ran := record(t)
		lan := vrrptest.New()
		strong, weak := newNode(t, lan, 1), newNode(t, lan, 2)
		strong.config.VRRP[0].Router.Priority = 150
		strong.config.VRRP[0].Hooks = config.Hooks{Master: hook, Timeout: time.Minute}
		lan.Cut(strong.address, weak.address)
		lan.Cut(weak.address, strong.address)
		strong.start()
		weak.start()
		advance(10 * time.Second)
		lan.Join(weak.address, strong.address) // weak does not hear strong yet
		advance(time.Minute)
		strong.wantRole("master")
		weak.wantRole("master")
		if n := strong.instance().Notices; len(n) != 1 || n[0].Kind != "two_masters" || n[0].Peer != weak.address.String() {
			t.Errorf("notices %+v", n)
		}
		if runs := ran(); len(runs) != 1 {
			t.Errorf("while there are two, the hook ran %q", runs)
		}
		strong.kernel.takeAnnounced()
		lan.Join(strong.address, weak.address)
		advance(2 * time.Minute)
		weak.wantRole("backup")
		runs := ran()
		if len(runs) != 2 || !strings.Contains(runs[1], "|MASTER|"+reasonYielded) {
			t.Errorf("the hook ran %q", runs)
		}
		if n := strong.kernel.takeAnnounced(); n < 5 {
			t.Errorf("the survivor announced %d times", n)
		}
		if begun, over := strong.logged(`"VRRP notice"`), strong.logged(`"VRRP notice is over"`); begun != 1 || over != 1 {
			t.Errorf("notices begun %d times, over %d times\n%s", begun, over, strong.log)
		}
		i := strong.instance()
		if len(i.Notices) != 0 || i.NoticeCounts["two_masters"] == 0 || len(i.Peers) != 1 || i.Peers[0].Master {
			t.Errorf("afterwards: notices %+v, counts %v, peers %+v", i.Notices, i.NoticeCounts, i.Peers)
		}
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}
