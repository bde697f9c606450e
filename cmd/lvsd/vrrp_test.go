package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

// answering answers on a control socket as a running lvsd does that has the
// instance "mail".
type answering struct {
	control.Source // what is not asked for here

	status director.Status
	// master is who takes over; nobody if it is empty.
	master string
	calls  chan string
}

func (a answering) Status() director.Status { return a.status }

func (a answering) GiveUp(ctx context.Context, instance string) (string, error) {
	if err := a.call("give-up", instance); err != nil || a.master != "" {
		return a.master, err
	}
	<-ctx.Done()
	return "", fmt.Errorf("instance %s: %w", instance, director.ErrNoTakeover)
}

func (a answering) Hold(_ context.Context, instance string) error { return a.call("hold", instance) }

func (a answering) Release(_ context.Context, instance string) error {
	return a.call("release", instance)
}

func (a answering) SetPriority(_ context.Context, instance string, priority int) error {
	return a.call(fmt.Sprintf("priority %d", priority), instance)
}

func (a answering) call(what, instance string) error {
	if instance != "mail" {
		return fmt.Errorf("%w: %s", director.ErrUnknownInstance, instance)
	}
	a.calls <- what
	return nil
}

// answer serves source on a control socket, and returns its directory.
func answer(t *testing.T, source control.Source) (directory string) {
	t.Helper()
	directory = t.TempDir()
	socket, err := control.Listen(filepath.Join(directory, socketName))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- control.Serve(ctx, socket, source) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return directory
}

func TestVRRPCommands(t *testing.T) {
	instances := []director.InstanceStatus{{Name: "mail"}, {Name: "web"}}
	calls := make(chan string, 1)
	directory := answer(t, answering{status: director.Status{Instances: instances}, master: "192.0.2.2", calls: calls})
	again := []director.InstanceStatus{{Name: "web"}, {Name: "mail", State: "master"}}
	lonely := answer(t, answering{status: director.Status{Instances: again}, master: "", calls: calls})
	slow := answer(t, answering{status: director.Status{Instances: instances}, master: "", calls: calls})
	absent := filepath.Join(t.TempDir(), "absent")
	for _, tt := range []struct {
		name, line, directory string
		code                  int
		call, stdout, stderr  string
	}{
		{"give up", "give-up mail", directory, exitOK, "give-up", "mail: 192.0.2.2 is MASTER\n", ""},
		{
			"nobody takes over", "give-up mail --timeout 10ms", lonely, exitFailed, "give-up", "",
			"instance mail: no other node became MASTER; this node is MASTER again\n",
		},
		{
			"nobody has taken over yet", "give-up mail --timeout 10ms", slow, exitFailed, "give-up", "",
			"MASTER; this node becomes MASTER again unless another does; see lvsd status\n",
		},
		{"hold", "hold mail", directory, exitOK, "hold", "", ""},
		{"release", "release mail", directory, exitOK, "release", "", ""},
		{"priority", "priority mail 80", directory, exitOK, "priority 80", "", ""},
		{"configured priority", "priority mail default", directory, exitOK, "priority 0", "", ""},
		{
			"unknown instance", "hold mial", directory, exitUsage, "", "",
			"no such VRRP instance: mial\n",
		},
		{"priority of the owner", "priority mail 255", directory, exitUsage, "", "", "priority \"255\": want 1..254 or default\n"},
		{"no time", "give-up mail --timeout 0s", directory, exitUsage, "", "", "--timeout 0s: want more than 0\n"},
		{"more than an hour", "give-up mail --timeout 2h", directory, exitUsage, "", "", "timeout \"2h0m0s\": want a time up to 1h0m0s\n"},
		{"no instance", "hold", directory, exitUsage, "", "", "lvsd vrrp hold: got 0 arguments, want 1\n"},
		{"unknown verb", "giveup mail", directory, exitUsage, "", "", "unknown command \"giveup\", nearest is \"give-up\"; see lvsd vrrp --help\n"},
		{"no daemon", "release mail", absent, exitNotRunning, "", "", "not running"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			arguments := append([]string{"vrrp"}, strings.Fields(tt.line)...)
			if tt.name != "unknown verb" {
				arguments = append(arguments, "--run-dir", tt.directory)
			}
			code, stdout, stderr := lvsd(t, arguments...)
			if code != tt.code || stdout != tt.stdout || !strings.Contains(stderr, tt.stderr) || (stderr == "") != (tt.stderr == "") {
				t.Errorf("exit code %d, standard output %q, standard error %q", code, stdout, stderr)
			}
			select {
			case call := <-calls:
				if call != tt.call {
					t.Errorf("the director was asked for %q, want %q", call, tt.call)
				}
			default:
				if tt.call != "" {
					t.Errorf("the director was not asked for %q", tt.call)
				}
			}
		})
	}
}
