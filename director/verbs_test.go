package director

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strong, weak := pair(t, nil)
		master, err := strong.director.GiveUp(t.Context(), "relay")
		if err != nil || master != weak.address.String() {
			t.Errorf("gave up to %q, %v", master, err)
		}
		strong.wantRole("backup")
		weak.wantRole("master")
		advance(time.Minute)
		strong.wantRole("backup") // although it has the higher priority
		if !strong.instance().Yielded {
			t.Error("the status does not say that it yielded")
		}
		_, err = strong.director.GiveUp(t.Context(), "relay")
		if err == nil || !strings.Contains(err.Error(), `instance "relay" is BACKUP, 192.0.2.2 is MASTER`) {
			t.Errorf("on a BACKUP: %v", err)
		}
		if err := strong.director.Release(t.Context(), "relay"); err != nil {
			t.Fatal(err)
		}
		for strong.instance().State != "master" {
			advance(10 * time.Millisecond)
		}
		// The other's last advert is young: it is not a successor's.
		if _, err := strong.director.GiveUp(t.Context(), "relay"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		weak.wantRole("master")
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

func TestGiveUpWithoutASuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		if _, err := n.director.GiveUp(t.Context(), "relay"); !errors.Is(err, ErrNoTakeover) {
			t.Errorf("alone: %v", err)
		}
		n.wantRole("master")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := n.director.GiveUp(ctx, "relay")
		if !errors.Is(err, ErrNoTakeover) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("impatient: %v", err)
		}
		advance(5 * time.Second)
		n.wantRole("master")
		n.stop(context.Canceled)
	})
}

func TestVerbsNeedAnInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		_, giveUp := n.director.GiveUp(t.Context(), "realy")
		for verb, err := range map[string]error{
			"give up":  giveUp,
			"hold":     n.director.Hold(t.Context(), "realy"),
			"release":  n.director.Release(t.Context(), "realy"),
			"priority": n.director.SetPriority(t.Context(), "realy", 1),
		} {
			if !errors.Is(err, ErrUnknownInstance) || !strings.Contains(err.Error(), `nearest is "relay"`) {
				t.Errorf("%s: %v", verb, err)
			}
		}
		n.stop(context.Canceled)
	})
}

func TestHoldSurvivesRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strong, weak := pair(t, nil)
		if err := strong.director.Hold(t.Context(), "relay"); err != nil {
			t.Fatal(err)
		}
		advance(2 * time.Second)
		strong.wantRole("backup")
		weak.wantRole("master")

		weak.stop(context.Canceled)
		for _, cause := range []error{ErrHandOver, context.Canceled} {
			strong.stop(cause)
			strong.start()
			advance(30 * time.Second)
			strong.wantRole("backup") // although there is no other
			if !strong.instance().Held {
				t.Error("the status does not say that it is held")
			}
		}
		if err := strong.director.Release(t.Context(), "relay"); err != nil {
			t.Fatal(err)
		}
		advance(5 * time.Second)
		strong.wantRole("master")
		strong.stop(ErrHandOver)
		strong.start()
		strong.wantRole("master") // it resumes
		strong.stop(context.Canceled)
	})
}

// TestHeldMasterDoesNotResume: the daemon was killed between the two.
func TestHeldMasterDoesNotResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		n.stop(ErrHandOver)
		if err := n.holds.Save([]string{"relay"}); err != nil {
			t.Fatal(err)
		}
		n.start()
		advance(10 * time.Second)
		n.want(relayState(n.config, vrrp.Backup))
		if n.logged("going on as MASTER") != 0 {
			t.Errorf("it says that it goes on as MASTER\n%s", n.log)
		}
		n.stop(context.Canceled)
	})
}

func TestDamagedHoldFileHoldsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		if err := n.holds.Save(nil); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(n.holds.Path, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		n.start()
		advance(10 * time.Second)
		n.want(relayState(n.config, vrrp.Backup)) // it serves as BACKUP
		if !n.instance().Held || n.logged("level=ERROR", "not known which instances are held") != 1 {
			t.Errorf("held %v\n%s", n.instance().Held, n.log)
		}
		if err := n.director.Release(t.Context(), "relay"); err != nil {
			t.Fatal(err)
		}
		advance(5 * time.Second)
		n.wantRole("master")
		if held, err := n.holds.Load(); err != nil || len(held) != 0 {
			t.Errorf("the file was not mended: %v, %v", held, err)
		}
		n.stop(context.Canceled)
	})
}

func TestHoldThatCannotBeWrittenDownIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.holds = HoldFile{Path: n.memory.Path + "/holds.json"} // below a file
		n.start()
		advance(5 * time.Second)
		if err := n.director.Hold(t.Context(), "relay"); err == nil || !strings.Contains(err.Error(), "is not held: hold file") {
			t.Errorf("hold: %v", err)
		}
		advance(5 * time.Second)
		n.wantRole("master")
		n.stop(context.Canceled)
	})
}

func TestHoldIsForTheGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inside := vrrptest.New()
		strong, weak := pair(t, func(strong, weak *node) {
			strong.group(inside)
			weak.group(inside)
		})
		if err := strong.director.Hold(t.Context(), "inside"); err != nil {
			t.Fatal(err)
		}
		advance(3 * time.Second)
		weak.wantRole("master")
		strong.stop(ErrHandOver)
		strong.start()
		advance(10 * time.Second)
		for _, i := range strong.director.Status().Instances {
			if !i.Held || i.State != "backup" {
				t.Errorf("%s is %s, held %v", i.Name, i.State, i.Held)
			}
		}
		if err := strong.director.Release(t.Context(), "relay"); err != nil {
			t.Fatal(err)
		}
		advance(6 * time.Second)
		strong.wantRole("master")
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

func TestSetPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strong, weak := pair(t, nil)
		set := func(priority int) {
			t.Helper()
			if err := strong.director.SetPriority(t.Context(), "relay", priority); err != nil {
				t.Fatal(err)
			}
			advance(5 * time.Second)
		}
		reload := func(priority uint8) {
			t.Helper()
			next := newNode(t, strong.lan, 1).config
			next.VRRP[0].Router.Priority, next.VRRP[0].GARP.Count = priority, 7
			if err := strong.director.Reload(t.Context(), next); err != nil {
				t.Fatal(err)
			}
			advance(5 * time.Second)
		}
		set(50)
		strong.wantRole("backup")
		weak.wantRole("master")
		reload(150) // of something else
		if i := strong.instance(); i.Explanation != "50 set by operator" || i.BasePriority != 50 || i.Priority != 50 {
			t.Errorf("%d, %d, %q", i.BasePriority, i.Priority, i.Explanation)
		}
		set(0)
		strong.wantRole("master")
		set(50)
		reload(160)
		strong.wantRole("master")
		if i := strong.instance(); i.Explanation != "160" || i.Priority != 160 {
			t.Errorf("after a reload with another priority: %d, %q", i.Priority, i.Explanation)
		}
		for _, wrong := range []int{-1, 255} {
			if err := strong.director.SetPriority(t.Context(), "relay", wrong); err == nil {
				t.Errorf("priority %d was taken", wrong)
			}
		}
		reload(vrrp.Owner)
		if err := strong.director.SetPriority(t.Context(), "relay", 100); err == nil {
			t.Error("the owner's priority was set")
		}
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}
