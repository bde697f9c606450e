package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/lvsd/lvsd/integration/lab"
)

// process is a program in a host that writes to files: what a pipe's reader
// costs would be measured too.
type process struct {
	cmd  *exec.Cmd
	out  *os.File
	done chan struct{}
	err  error // why it ended; read after done
}

// spawn starts the copy of a program. Its output goes to the file of that name
// in dir.
func (c copies) spawn(h *lab.Host, dir, output string, argv []string, stdin *os.File) (*process, error) {
	out, err := os.OpenFile(filepath.Join(dir, output), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(c.path(argv[0]), argv[1:]...), out: out, done: make(chan struct{})}
	p.cmd.Env = c.environment()
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if stdin != nil {
		p.cmd.Stdin = stdin
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := h.Do(p.cmd.Start); err != nil {
		_ = out.Close()
		return nil, fmt.Errorf("%v: %w", argv, err)
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// wait waits for the end; a program that fails is an error.
func (p *process) wait() error {
	<-p.done
	if p.err != nil {
		return fmt.Errorf("%v: %w: %.500s", p.cmd.Args, p.err, p.output())
	}
	return nil
}

// output is what it has written so far.
func (p *process) output() string {
	b, err := os.ReadFile(p.out.Name())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// kill ends it and its children with SIGKILL and waits for it. The children
// first: they would take their parent's death for a request to stop.
func (p *process) kill() {
	for _, pid := range append(children(p.pid()), p.pid()) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-p.done
	_ = p.out.Close()
}

// end is why it has ended already, if it has.
func (p *process) end() error {
	select {
	case <-p.done:
		return fmt.Errorf("%v ended: %v: %.500s", p.cmd.Args, p.err, p.output())
	default:
		return nil
	}
}

// memory is the proportional share of memory, in bytes, of the process and its
// children: pages that several share count once (proc_pid_smaps_rollup).
func (p *process) memory() int64 {
	var total int64
	for _, pid := range append(children(p.pid()), p.pid()) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
				kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
				total += kilobytes << 10
			}
		}
	}
	return total
}
