package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lvsd/lvsd/cmd/lvsd/mute"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

// TestMain lets scripts run this test binary as lvsd.
func TestMain(m *testing.M) {
	mute.End()
	testscript.Main(m, map[string]func(){
		"lvsd": func() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs what people type, in testdata/script. Beside the commands of
// testscript they have:
//
//	code N COMMAND...   runs the command, which must exit with N
//	daemon FILE         answers on $WORK/run/lvsd.sock as FILE says, until the end
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TZ", "UTC")
			env.Setenv("NO_COLOR", "1")
			env.Setenv("SUDO_USER", "alice")
			return os.Mkdir(filepath.Join(env.WorkDir, "run"), 0o700)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code":   exitsWith,
			"daemon": scriptedDaemon,
		},
	})
}

func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var failed *exec.ExitError
		if !errors.As(err, &failed) {
			ts.Fatalf("%v", err)
		}
		code = failed.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

func scriptedDaemon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: daemon FILE")
	}
	source := &scripted{orders: ts.MkAbs("orders")}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), source))
	socket, err := control.Listen(ts.MkAbs(filepath.Join("run", socketName)))
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- control.Serve(ctx, socket, source) }()
	ts.Defer(func() {
		cancel()
		ts.Check(<-served)
	})
}

// scripted answers as a file says.
type scripted struct {
	control.Source `json:"-"` // what no script asks for

	State    director.Status              `json:"status"`
	Told     director.Spread              `json:"spread"`
	Happened []director.Event             `json:"events"`
	Server   director.Explanation         `json:"explanation"`
	Instance director.InstanceExplanation `json:"instance"`
	Service  director.ServiceExplanation  `json:"service"`
	Reloaded control.ReloadAnswer         `json:"reload"`
	// Active are the connections of every real server at each further look; the last
	// number stays.
	Active []uint32 `json:"active"`
	// Refusals are what is refused, by the name of the method.
	Refusals map[string]*control.Error `json:"refusals"`

	mu     sync.Mutex
	orders string // the file that every order is written to
}

func (s *scripted) refusal(method string) error {
	if refused := s.Refusals[method]; refused != nil {
		return refused
	}
	return nil
}

// wrote writes an order down for the script to look at.
func (s *scripted) wrote(what string, order any) error {
	if err := s.refusal(what); err != nil {
		return err
	}
	text, err := json.Marshal(map[string]any{what: order})
	if err != nil {
		return err
	}
	me, err := whoTests()
	if err != nil {
		return err
	}
	text = bytes.ReplaceAll(text, []byte(`"by":"`+me+`"`), []byte(`"by":"ME"`))
	s.mu.Lock()
	defer s.mu.Unlock()
	file, err := os.OpenFile(s.orders, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	return errors.Join(err, file.Close())
}

// whoTests is who gives the orders: whoever runs the test; as root, for alice.
func whoTests() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", err
	}
	if os.Geteuid() == 0 {
		return "alice as " + u.Username, nil
	}
	return u.Username, nil
}

func (s *scripted) Status() director.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.Active) > 0 {
		for i := range s.State.Services {
			for j := range s.State.Services[i].RealServers {
				s.State.Services[i].RealServers[j].Active = s.Active[0]
			}
		}
		if len(s.Active) > 1 {
			s.Active = s.Active[1:]
		}
	}
	return s.State
}

// spread is what became of an order.
func (s *scripted) spread(o director.Override) director.Spread {
	spread := s.Told
	o.Node, o.At, o.Addresses = "relay1", time.Unix(1, 0), spread.Override.Addresses
	spread.Override = o
	return spread
}

func (s *scripted) Order(_ context.Context, o director.Order) (director.Spread, error) {
	err := s.wrote("order", o)
	var until time.Time
	if o.For > 0 {
		until = time.Now().Add(o.For)
	}
	return s.spread(director.Override{Target: o.Target, State: o.State, Weight: o.Weight, Reason: o.Reason, By: o.By, Until: until}), err
}

func (s *scripted) Clear(_ context.Context, target director.Target, by string) (director.Spread, error) {
	err := s.wrote("clear", map[string]any{"target": target, "by": by})
	return s.spread(director.Override{Target: target, Cleared: true}), err
}

func (s *scripted) Maintenance(_ context.Context, o director.MaintenanceOrder) (director.Spread, error) {
	err := s.wrote("maintenance", o)
	return s.spread(director.Override{Target: director.Target{Node: "relay1"}, State: director.Drain, Cleared: !o.On}), err
}

func (s *scripted) CheckNow(_ context.Context, server, service string) (director.Explanation, error) {
	return s.Server, s.wrote("check", []string{server, service})
}

func (s *scripted) Explain(server, service string) (director.Explanation, error) {
	return s.Server, s.wrote("explain", []string{server, service})
}

func (s *scripted) ExplainInstance(name string) (director.InstanceExplanation, error) {
	return s.Instance, s.wrote("explain instance", name)
}

func (s *scripted) ExplainService(name string) (director.ServiceExplanation, error) {
	return s.Service, s.wrote("explain service", name)
}

func (s *scripted) Events(after uint64) []director.Event {
	var events []director.Event
	for _, e := range s.Happened {
		if e.Seq > after {
			events = append(events, e)
		}
	}
	return events
}

func (s *scripted) Traffic(context.Context) (director.Traffic, error) { return director.Traffic{}, nil }

func (s *scripted) Plan(context.Context, control.PlanRequest) (director.Preview, error) {
	return s.Reloaded.Plan, s.refusal("plan")
}

func (s *scripted) Reload(_ context.Context, request control.ReloadRequest) (control.ReloadAnswer, error) {
	return s.Reloaded, s.wrote("reload", request)
}

func (s *scripted) Confirm(context.Context) error { return s.wrote("confirm", nil) }

// FollowEvents hands over the events that there are, then one with a gap before it.
func (s *scripted) FollowEvents(ctx context.Context, after uint64, deliver func([]director.Event) error) error {
	late := director.Event{Seq: after + 5, Kind: director.EventServerUp, Text: "it came while looking"}
	other := director.Event{Seq: after + 6, Kind: director.EventStopping, Text: "of no interest"}
	if err := deliver(append(s.Events(after), late, other)); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}
