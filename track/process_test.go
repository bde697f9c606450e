package track

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDebounce(t *testing.T) {
	const s = time.Second
	type seen struct {
		at     time.Duration
		enough bool
		state  State
		again  time.Duration
	}
	for name, steps := range map[string][]seen{
		"what is seen first decides": {{0, false, Down, 0}},
		"enough at first":            {{0, true, Up, 0}},
		"too few for long enough":    {{0, true, Up, 0}, {9 * s, false, Up, 3 * s}, {11 * s, false, Up, 1 * s}, {12 * s, false, Down, 0}},
		"enough for long enough":     {{0, false, Down, 0}, {1 * s, true, Down, 5 * s}, {7 * s, true, Up, 0}},
		"a restart does not count":   {{0, true, Up, 0}, {1 * s, false, Up, 3 * s}, {3 * s, true, Up, 0}, {4 * s, false, Up, 3 * s}},
		"nor does a short life":      {{0, false, Down, 0}, {1 * s, true, Down, 5 * s}, {5 * s, false, Down, 0}, {7 * s, true, Down, 5 * s}},
	} {
		t.Run(name, func(t *testing.T) {
			d, zero := debounce{downDelay: 3 * s, upDelay: 5 * s}, time.Now()
			for _, step := range steps {
				if state, again := d.next(zero.Add(step.at), step.enough); state != step.state || again != step.again {
					t.Errorf("after %v: %v, again in %v; want %v, %v", step.at, state, again, step.state, step.again)
				}
			}
		})
	}
	var d debounce
	for _, enough := range []bool{true, false, true} {
		want := map[bool]State{true: Up, false: Down}[enough]
		if state, again := d.next(time.Now(), enough); state != want || again != 0 {
			t.Errorf("without delays: %v, again in %v, want %v", state, again, want)
		}
	}
}

// The time of a delay passes even if the count does not change.
func TestProcessDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher()
		zero := time.Now()
		var got []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			trackProcess(t.Context(), Process{Name: "db", Quorum: 2, DownDelay: 3 * time.Second}, w, func(f found) {
				got = append(got, fmt.Sprintf("%v %v: %s", time.Since(zero), f.state, f.reason))
			})
		}()
		synctest.Wait()
		w.publish([]string{"db"}, map[string][]int{"db": {7, 8}}, nil)
		<-time.After(time.Second)
		w.publish([]string{"db"}, map[string][]int{"db": {7}}, nil)
		<-time.After(10 * time.Second)
		w.publish([]string{"db"}, nil, errors.New("no /proc"))
		synctest.Wait()
		want := []string{
			"0s up: 2 of 2 running (pid 7 8)",
			"1s up: 1 of 2 running (pid 7)",
			"4s down: 1 of 2 running (pid 7)",
			"11s down: no /proc",
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestCountInWords(t *testing.T) {
	for want, pids := range map[string][]int{
		"0 of 2 running":                     nil,
		"1 of 2 running (pid 9)":             {9},
		"6 of 2 running (pid 1 2 3 4 5 ...)": {1, 2, 3, 4, 5, 6},
	} {
		if got := (count{pids: pids}).describe(2); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// uniqueName is one that no other process has.
func uniqueName(prefix string) string { return fmt.Sprintf("%s%d", prefix, os.Getpid()) }

// program returns a copy of sleep under another name.
func program(t *testing.T, name string) string {
	t.Helper()
	original, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// launch starts a program and returns a function that ends it.
func launch(t *testing.T, cmd *exec.Cmd) (end func()) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end = func() {
		if !ended {
			ended = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(end)
	return end
}

func processSpec(name string, quorum int) Spec {
	return Spec{Name: "process", Process: &Process{Name: name, Quorum: quorum}}
}

func TestProcess(t *testing.T) {
	for how, open := range map[string]func() (*connector, error){
		"events":  openConnector,
		"polling": func() (*connector, error) { return nil, errors.New("not allowed") },
	} {
		t.Run(how, func(t *testing.T) {
			if how == "events" {
				needEvents(t)
			}
			// More than the kernel keeps of a name.
			name := uniqueName("a-long-name-of-a-daemon-")
			path := program(t, name)
			r := newRig(t, processSpec(name, 2))
			r.processes.open = open
			if how == "events" {
				// Only they can tell.
				r.processes.poll, r.processes.safety = time.Hour, time.Hour
			}
			r.run()
			if c := r.next(); c.To.State != Down || c.To.Reason != "0 of 2 running" {
				t.Errorf("change %+v", c)
			}
			first := exec.Command(path, "100000")
			endFirst := launch(t, first)
			r.await("one of two", func(s Status) bool {
				return s.State == Down && strings.HasPrefix(s.Reason, "1 of 2 running (pid ")
			})
			endSecond := launch(t, &exec.Cmd{Path: path, Args: []string{"renamed", "100000"}})
			if c := r.next(); c.To.State != Up || !strings.HasPrefix(c.To.Reason, "2 of 2 running (pid ") {
				t.Errorf("change %+v", c)
			}
			endFirst()
			if c := r.next(); c.To.State != Down || !strings.HasPrefix(c.To.Reason, "1 of 2 running (pid ") {
				t.Errorf("change %+v", c)
			}
			endSecond()
			r.await("none", func(s Status) bool { return s.State == Down && s.Reason == "0 of 2 running" })
		})
	}
}

// By name of the kernel, of the first argument, and of the file.
func TestNamesOfAProcess(t *testing.T) {
	file, argument := uniqueName("lvsd-f"), uniqueName("lvsd-argument-zero-")
	cmd := &exec.Cmd{Path: program(t, file), Args: []string{"/opt/bin/" + argument, "100000"}}
	launch(t, cmd)
	for _, name := range []string{file, argument} {
		for deadline := time.Now().Add(eventually); ; <-time.After(10 * time.Millisecond) {
			pids, err := countProcesses([]string{name, "no such name"})
			if err != nil {
				t.Fatal(err)
			}
			if got := pids[name]; len(got) == 1 && len(pids) == 1 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: processes %v", name, pids)
			}
		}
	}
}

func TestZombieDoesNotCount(t *testing.T) {
	name := uniqueName("lvsd-z")
	cmd := exec.Command(program(t, name), "0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	stat := fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid)
	for {
		line, err := os.ReadFile(stat)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(line), "("+name+") Z ") {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	if pids, err := countProcesses([]string{name}); err != nil || len(pids) != 0 {
		t.Errorf("processes %v, %v", pids, err)
	}
}

// This process has many threads and counts once.
func TestThreadsCountOnce(t *testing.T) {
	line, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	self, err := parseStat(line)
	if err != nil {
		t.Fatal(err)
	}
	pids, err := countProcesses([]string{self.comm})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, pid := range pids[self.comm] {
		if pid == os.Getpid() {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d counts %d times", os.Getpid(), n)
	}
}
