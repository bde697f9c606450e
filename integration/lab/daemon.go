package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// stopDeadline is how long a daemon may take to end on SIGTERM, before scaling.
const stopDeadline = 20 * time.Second

// A Daemon is a process that runs in a host until it is stopped.
type Daemon struct {
	// Name says which of the host's daemons this is, in descriptions.
	Name string

	host *Host
	cmd  *exec.Cmd
	out  output
	done chan struct{}
	err  error // why it ended; read after done
}

// Command is a daemon to start.
type Command struct {
	// Name is the daemon's in descriptions; the program's if empty.
	Name string
	Args []string
	// Env is added to the environment of the test.
	Env []string
	Dir string
	// Describe is called for the description of a failing test: what the
	// daemon wrote elsewhere.
	Describe func() string
}

// Start starts a daemon in the host. It is stopped with the lab.
func (h *Host) Start(c Command) *Daemon {
	h.lab.t.Helper()
	d, err := h.start(c)
	if err != nil {
		h.lab.t.Fatalf("host %s: start %v: %v", h.Name, c.Args, err)
	}
	return d
}

func (h *Host) start(c Command) (*Daemon, error) {
	if len(c.Args) == 0 {
		return nil, errors.New("no program")
	}
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Dir = c.Dir
	// A group of its own can be killed as a whole; and the host's thread, with
	// this process, takes the daemon along.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	d := &Daemon{Name: c.Name, host: h, cmd: cmd, done: make(chan struct{})}
	if d.Name == "" {
		d.Name = c.Args[0]
	}
	d.out.more = c.Describe
	cmd.Stdout, cmd.Stderr = &d.out, &d.out
	if err := h.Do(cmd.Start); err != nil {
		return nil, err
	}
	go func() {
		defer close(d.done)
		d.err = cmd.Wait()
	}()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.daemons = append(h.daemons, d)
	return d, nil
}

// PID is the daemon's process id.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Done is closed when the daemon has ended.
func (d *Daemon) Done() <-chan struct{} { return d.done }

// Running tells whether the daemon has not ended.
func (d *Daemon) Running() bool {
	select {
	case <-d.done:
		return false
	default:
		return true
	}
}

// Err waits for the daemon's end and returns why it ended: nil for status 0.
func (d *Daemon) Err() error {
	<-d.done
	return d.err
}

// Output is all that the daemon has printed so far.
func (d *Daemon) Output() string { return d.out.String() }

// Signal sends the daemon a signal. The test ends if there is no such process.
func (d *Daemon) Signal(sig syscall.Signal) {
	d.host.lab.t.Helper()
	if err := d.cmd.Process.Signal(sig); err != nil {
		d.host.lab.t.Fatalf("host %s: %s: %v: %v", d.host.Name, d.Name, sig, err)
	}
}

// Kill ends the daemon's whole process group with SIGKILL and waits for it.
func (d *Daemon) Kill() {
	if d.Running() {
		_ = syscall.Kill(-d.PID(), syscall.SIGKILL)
	}
	<-d.done
}

// Stop asks the daemon to end, waits, and kills it when it takes too long. It
// returns why the daemon ended, nil for status 0.
func (d *Daemon) Stop() error {
	if !d.Running() {
		return d.err
	}
	// A stopped process takes no SIGTERM.
	_ = d.cmd.Process.Signal(syscall.SIGCONT)
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	patience := time.NewTimer(d.host.lab.Scaled(stopDeadline))
	defer patience.Stop()
	select {
	case <-d.done:
		return d.err
	case <-patience.C:
		d.Kill()
		return fmt.Errorf("%s: killed: did not end on SIGTERM", d.Name)
	}
}

// output collects what a process prints.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more func() string
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
