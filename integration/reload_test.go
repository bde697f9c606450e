package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
	"github.com/lvsd/lvsd/integration/lab"
)

// otherReloadVIP is a VIP that only some of a test's files have.
const otherReloadVIP = "10.99.0.101"

// TestReload: a changed file is gone over to as a whole or not at all, whoever asks,
// and an instance that is MASTER stays that.
func TestReload(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	t.Parallel()
	s := newSegment(t)
	r := &reloading{segment: s, node: s.addNode("first", "10.99.0.1")}
	r.configure(virtualRouter{Version: 3, VRID: 20, Priority: 150, Interval: s.interval, Keys: "settle = \"0s\"\n"})
	r.stage("one node is MASTER", func(*testing.T) {
		r.start()
		r.lab.WaitFor("it to be MASTER", func() error { return r.inState("master") })
	})
	undisturbed := r.stable()
	r.stage("a file with errors is refused, with all of them", r.invalid)
	r.stage("a valid one is gone over to, and the plan is told", r.valid)
	r.stage("an interface that is missing is refused before anything is touched", r.missingInterface)
	r.stage("a VIP that the kernel refuses is rolled back", r.refusedVIP)
	r.stage("a route that the kernel refuses is rolled back", r.refusedRoute)
	r.stage("a reload that nobody confirms is rolled back", r.unconfirmed)
	r.stage("one that is confirmed stands", r.confirmed)
	r.stage("the file is watched", r.watched)
	r.stage("what changes while one waits to be confirmed comes afterwards", r.editedMeanwhile)
	r.stage("what was taken back is not tried again by the watch", r.notTriedAgain)
	r.stage("the role has never changed", undisturbed)
}

// reloading is a node whose file changes.
type reloading struct {
	*segment
	*node
}

func (r *reloading) Helper() { r.segment.Helper() }

// Name is the test's.
func (r *reloading) Name() string { return r.segment.Name() }

// ask writes what the file should be and asks for it by the control socket.
func (r *reloading) ask(v virtualRouter, confirm time.Duration) (control.ReloadAnswer, error) {
	r.configure(v)
	return control.Reload(r.Context(), r.socket(), control.ReloadRequest{Confirm: confirm})
}

func (r *reloading) socket() string { return filepath.Join(r.run, "lvsd.sock") }

// stable is a check that the role has not changed since.
func (r *reloading) stable() func(t *testing.T) {
	since := r.now().Since
	return func(t *testing.T) {
		if i := r.now(); !i.Since.Equal(since) || i.State != "master" {
			t.Errorf("it is %s since %s because %s", i.State, i.Since, i.Reason)
		}
	}
}

// wantCode is an error of the daemon with this code.
func wantCode(t *testing.T, err error, code string, words ...string) {
	t.Helper()
	answer, ok := errors.AsType[*control.Error](err)
	if !ok || answer.Code != code {
		t.Fatalf("got %v, want the code %s", err, code)
	}
	for _, word := range words {
		if !strings.Contains(answer.Message, word) {
			t.Errorf("%q does not say %q", answer.Message, word)
		}
	}
}

func (r *reloading) invalid(t *testing.T) {
	stable := r.stable()
	v := r.router
	r.write(v.lvsd() + "priorty = 1\nvipz = []\n")
	_, err := control.Reload(r.Context(), r.socket(), control.ReloadRequest{})
	wantCode(t, err, control.CodeInvalidFile, r.config+":", "vrrp.priorty", "vrrp.vipz")
	r.wantStatus(t, false, "vrrp.priorty")
	r.wantEvent(t, director.EventReloadRefused)
	stable(t)
}

func (r *reloading) valid(t *testing.T) {
	stable := r.stable()
	v := r.router
	v.Priority, v.VIPs = 140, []string{hostVIP, otherReloadVIP}
	answer, err := r.ask(v, 0)
	if err != nil {
		t.Fatal(err)
	}
	if p := answer.Plan; p.Of != director.PreviewReload || p.Summary.Add != 1 || !answer.ConfirmUntil.IsZero() {
		t.Errorf("the answer is %+v", answer)
	}
	// It has waited for that.
	if err := r.inState("master"); err != nil {
		t.Error(err)
	}
	r.wantStatus(t, true, "")
	data, _ := os.ReadFile(r.config)
	if c, err := config.Parse(r.config, data, "first"); err != nil || r.mustStatus().ConfigHash != c.Hash {
		t.Errorf("the status has the hash %q (%v)", r.mustStatus().ConfigHash, err)
	}
	v.VIPs = nil
	if _, err := r.ask(v, 0); err != nil {
		t.Fatal(err)
	}
	r.wantOnlyVIP(t)
	stable(t)
}

func (r *reloading) missingInterface(t *testing.T) {
	stable, before := r.stable(), r.router
	r.configure(before)
	data, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	was := fmt.Sprintf("interface = %q", lab.LinkName)
	if !strings.Contains(string(data), was) {
		t.Fatalf("the file has no %s", was)
	}
	r.write(strings.ReplaceAll(string(data), was, `interface = "nosuch"`))
	_, err = control.Reload(r.Context(), r.socket(), control.ReloadRequest{})
	wantCode(t, err, control.CodeFailed, "nosuch")
	r.wantStatus(t, false, "nosuch")
	r.wantEvent(t, director.EventReloadRefused)
	if status := r.mustStatus(); !status.FileDiffers || status.Reload.RolledBack {
		t.Errorf("the file differs: %v, rolled back: %v", status.FileDiffers, status.Reload.RolledBack)
	}
	r.wantOnlyVIP(t)
	stable(t)
}

func (r *reloading) refusedVIP(t *testing.T) {
	r.Run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/"+lab.LinkName+"/disable_ipv6")
	before, v := r.router, r.router
	v.Priority, v.Keys = 130, v.Keys+"excluded_vips = [\"2001:db8::100\"]\n"
	_, err := r.ask(v, 0)
	wantCode(t, err, control.CodeRolledBack, "2001:db8::100", "the configuration before stands")
	r.wantBefore(t, before)
}

func (r *reloading) refusedRoute(t *testing.T) {
	before, v := r.router, r.router
	v.Keys += "route = [{ destination = \"203.0.113.0/24\", gateway = \"198.51.100.1\" }]\n[reload]\nsettle_within = \"2s\"\n"
	_, err := r.ask(v, 0)
	wantCode(t, err, control.CodeRolledBack, "203.0.113.0/24")
	r.wantBefore(t, before)
}

// wantBefore: the configuration stands that stood before a reload, and the daemon
// tells so.
func (r *reloading) wantBefore(t *testing.T, before virtualRouter) {
	t.Helper()
	r.router = before
	r.wantStatus(t, false, "")
	r.wantEvent(t, director.EventRolledBack)
	r.wantOnlyVIP(t)
	if i := r.now(); i.BasePriority != before.Priority {
		t.Errorf("the priority is %d, want %d", i.BasePriority, before.Priority)
	}
}

func (r *reloading) unconfirmed(t *testing.T) {
	before, v := r.router, r.router
	v.VIPs = []string{hostVIP, otherReloadVIP}
	within := r.lab.Scaled(2 * time.Second)
	answer, err := r.ask(v, within)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(answer.ConfirmUntil); left > within || left < -time.Minute {
		t.Errorf("it is to be confirmed until %s", answer.ConfirmUntil)
	}
	r.lab.WaitFor("the roll back", func() error {
		status, err := r.status()
		if err == nil && !status.Confirm.IsZero() {
			err = fmt.Errorf("it waits until %s", status.Confirm)
		}
		if err == nil && status.Reload.OK {
			err = errors.New("not yet rolled back")
		}
		return err
	})
	r.lab.WaitFor("the VIP to go", func() error {
		return wantVIPs(r.Host, lab.LinkName, []string{otherReloadVIP}, false)
	})
	r.wantBefore(t, before)
	wantCode(t, control.Confirm(r.Context(), r.socket()), control.CodeNothingToConfirm)
}

func (r *reloading) confirmed(t *testing.T) {
	v := r.router
	v.VIPs = []string{hostVIP, otherReloadVIP}
	if _, err := r.ask(v, time.Hour); err != nil {
		t.Fatal(err)
	}
	if until := r.mustStatus().Confirm; time.Until(until) < time.Minute {
		t.Errorf("the status says that it waits until %s", until)
	}
	_, err := control.Reload(r.Context(), r.socket(), control.ReloadRequest{})
	wantCode(t, err, control.CodeBusy, "waits to be confirmed")
	if err := control.Confirm(r.Context(), r.socket()); err != nil {
		t.Fatal(err)
	}
	wantCode(t, control.Confirm(r.Context(), r.socket()), control.CodeNothingToConfirm)
	if status := r.mustStatus(); !status.Confirm.IsZero() || !status.Reload.OK {
		t.Errorf("afterwards: %s, %+v", status.Confirm, status.Reload)
	}
	if err := r.inState("master"); err != nil {
		t.Error(err)
	}
}

// watched: a file that is put in place of the old one is gone over to.
func (r *reloading) watched(t *testing.T) {
	v := r.router
	keys := v.Keys
	v.Keys = keys + "[reload]\nwatch = true\n"
	if _, err := r.ask(v, 0); err != nil {
		t.Fatal(err)
	}
	v.Priority = 120
	next := r.config + ".next"
	if err := os.WriteFile(next, []byte(v.lvsd()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, r.config); err != nil {
		t.Fatal(err)
	}
	r.lab.WaitFor("the reload", func() error {
		i, err := r.instance()
		if err == nil && i.Priority != 120 {
			err = fmt.Errorf("the priority is %d", i.Priority)
		}
		return err
	})
	r.router = v
}

// editedMeanwhile: with the watch, neither the file that an explicit reload has gone over
// to is a second reload, nor is a later edit lost.
func (r *reloading) editedMeanwhile(t *testing.T) {
	v := r.router
	v.Priority = 121
	if _, err := r.ask(v, time.Hour); err != nil {
		t.Fatal(err)
	}
	v.Priority = 122
	r.configure(v)
	r.lab.WaitFor("the edit to be put off", func() error {
		return r.tells("a reload comes after the one that waits to be confirmed")
	})
	if i := r.now(); i.BasePriority != 121 {
		t.Errorf("while one waits the priority is %d", i.BasePriority)
	}
	if err := control.Confirm(r.Context(), r.socket()); err != nil {
		t.Fatal(err)
	}
	r.waitForPriority(122)
}

// notTriedAgain: a reload that has switched the watch off is not confirmed. The watch
// begins anew with it, and leaves the file alone until it is another.
func (r *reloading) notTriedAgain(t *testing.T) {
	v := r.router
	keys := v.Keys
	v.Keys, v.Priority = strings.ReplaceAll(keys, "watch = true", "watch = false"), 123
	if _, err := r.ask(v, r.lab.Scaled(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	r.lab.WaitFor("the roll back, and the watch to look", func() error {
		if status, err := r.status(); err != nil || !status.Reload.RolledBack || !status.FileDiffers {
			return fmt.Errorf("reload %+v, the file differs: %v (%w)", status.Reload, status.FileDiffers, err)
		}
		return r.tells("is left as it is: it was taken back")
	})
	if i := r.now(); i.BasePriority != 122 {
		t.Errorf("the priority is %d", i.BasePriority)
	}
	v.Keys, v.Priority = keys, 124
	r.configure(v)
	r.waitForPriority(124)
	if r.mustStatus().FileDiffers {
		t.Error("the file is what runs, and is said to be another")
	}
}

// tells is an error unless the log has the words.
func (r *reloading) tells(words string) error {
	if r.logged(words) == 0 {
		return fmt.Errorf("the log does not say %q", words)
	}
	return nil
}

func (r *reloading) waitForPriority(want int) {
	r.Helper()
	r.lab.WaitFor("the reload", func() error {
		i, err := r.instance()
		if err == nil && i.BasePriority != want {
			err = fmt.Errorf("the priority is %d, want %d", i.BasePriority, want)
		}
		return err
	})
}

func (r *reloading) mustStatus() director.Status {
	r.Helper()
	status, err := r.status()
	if err != nil {
		r.Fatalf("status: %v", err)
	}
	return status
}

// wantStatus: the last reload ended so.
func (r *reloading) wantStatus(t *testing.T, ok bool, word string) {
	t.Helper()
	if reload := r.mustStatus().Reload; reload.OK != ok || !strings.Contains(reload.Error, word) || ok != (reload.Error == "") {
		t.Errorf("the status of the reload is %+v", reload)
	}
}

// wantEvent: the last event about the configuration is of this kind.
func (r *reloading) wantEvent(t *testing.T, kind director.EventKind) {
	t.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var last director.EventKind
	r.lab.WaitFor("an event", func() error {
		events, err := control.Events(ctx, r.socket(), 0)
		for _, e := range slices.Backward(events) {
			if strings.HasPrefix(string(e.Kind), "config.") {
				last = e.Kind
				break
			}
		}
		if err == nil && last != kind {
			err = fmt.Errorf("the last one about the configuration is %q, want %q", last, kind)
		}
		return err
	})
}

// wantOnlyVIP: the kernel has the first VIP and no other.
func (r *reloading) wantOnlyVIP(t *testing.T) {
	t.Helper()
	if found := held(r.Host, lab.LinkName, []string{hostVIP, otherReloadVIP, "2001:db8::100"}); !slices.Equal(found, []string{hostVIP}) {
		t.Errorf("the kernel has %v", found)
	}
}
