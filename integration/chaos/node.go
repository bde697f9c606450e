package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"

	"github.com/lvsd/lvsd/integration/lab"
)

// The roles, as both daemons log them.
const (
	roleMaster = "MASTER"
	roleBackup = "BACKUP"
)

// A Node is a director of a site.
type Node struct {
	*lab.Host
	Site   *Site
	Daemon *lab.Daemon
	// Dir is the daemon's own directory, of run files and state; File its
	// configuration.
	Dir, File string
	// Program is what Start runs.
	Program string

	index int
	log   string

	mu sync.Mutex
	// read is how far the log has been looked at for the role.
	read int64
	role string
}

func newNode(s *Site, h *lab.Host) *Node {
	return &Node{
		Host: h, Site: s, index: len(s.Nodes),
		Dir: s.Lab.Dir(h.Name, "run"), File: filepath.Join(s.Lab.Dir(h.Name), s.Contestant.Name()+".conf"),
		// Not in Dir, which a fault may fill.
		log:     filepath.Join(s.Lab.Dir("log"), h.Name+".log"),
		Program: s.Contestant.Program(),
	}
}

// Configure writes the file.
func (n *Node) Configure(c Config) {
	n.Site.Helper()
	n.WriteFile(n.Site.Contestant.Text(n, c.withDefaults(n.Site.Lab.Scale())))
}

// prepare does what comes before the first start.
func (n *Node) prepare() {
	n.Site.Helper()
	if n.Site.Config.Prepare == nil {
		return
	}
	if err := n.Site.Config.Prepare(n); err != nil {
		n.Site.Fatalf("node %s: %v", n.Name, err)
	}
}

// WriteFile writes a text of another kind to the file: one that is not valid, say.
func (n *Node) WriteFile(text string) {
	n.Site.Helper()
	if err := os.WriteFile(n.File, []byte(text), 0o600); err != nil {
		n.Site.Fatalf("configuration: %v", err)
	}
}

// Start starts the node's daemon, unless it runs.
func (n *Node) Start() {
	n.Site.Helper()
	if n.Daemon != nil && n.Daemon.Running() {
		return
	}
	command := n.Site.Contestant.Command(n)
	// To a file: a daemon that says much shall not have to be asked for all of it.
	command.Args = append([]string{"/bin/sh", "-c", `exec "$@" >>"$0" 2>&1`, n.log}, command.Args...)
	command.Describe = func() string { return tail(n.Log(0), 4000) }
	n.mu.Lock()
	defer n.mu.Unlock()
	n.read, n.role = int64(n.Mark()), ""
	n.Daemon = n.Host.Start(command)
}

// Stop asks the daemon to end and waits.
func (n *Node) Stop() {
	if n.Daemon != nil {
		_ = n.Daemon.Stop()
	}
}

// Kill ends all processes of the daemon at once with SIGKILL, the children first:
// they would take their parent's death for a request to stop.
func (n *Node) Kill() {
	if n.Daemon == nil {
		return
	}
	n.Signal(syscall.SIGKILL)
	<-n.Daemon.Done()
}

// Signal sends a signal to all processes of the daemon, the children first.
func (n *Node) Signal(sig syscall.Signal) {
	processes := n.Processes()
	for i := range processes {
		_ = syscall.Kill(processes[len(processes)-1-i], sig)
	}
}

// Processes are those of the daemon that runs, its own first.
func (n *Node) Processes() []int {
	if n.Daemon == nil || !n.Daemon.Running() {
		return nil
	}
	return n.Site.Contestant.Processes(n)
}

// Role is the daemon's as it says itself; "" for one that does not run.
func (n *Node) Role() string { return n.Site.Contestant.Role(n) }

// Mark is the end of the log now.
func (n *Node) Mark() int {
	info, err := os.Stat(n.log)
	if err != nil {
		return 0
	}
	return int(info.Size())
}

// Log is what the daemon has written since the mark.
func (n *Node) Log(mark int) string {
	text, err := readFrom(n.log, int64(mark))
	if err != nil {
		return ""
	}
	return string(text)
}

func readFrom(path string, offset int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	_, err = f.Seek(offset, io.SeekStart)
	text, readErr := io.ReadAll(f)
	return text, errors.Join(err, readErr)
}

// entering is a change of role in either daemon's log.
var entering = regexp.MustCompile(`Entering (MASTER|BACKUP|FAULT) STATE`)

// lastRole is the role that the log tells last, since the daemon's start; "" before
// the first.
func (n *Node) lastRole() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	text, err := readFrom(n.log, n.read)
	if err != nil {
		return n.role
	}
	// A line that is not whole yet is read again.
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	n.read += int64(len(text))
	if found := entering.FindAllSubmatch(text, -1); len(found) > 0 {
		n.role = string(found[len(found)-1][1])
	}
	return n.role
}

// changes counts the changes of role in a piece of log, beginning with a role.
func changes(role, log string) int {
	count := 0
	for _, found := range entering.FindAllStringSubmatch(log, -1) {
		if found[1] != role {
			count, role = count+1, found[1]
		}
	}
	return count
}

// tail is the end of a text.
func tail(text string, most int) string { return text[max(0, len(text)-most):] }
