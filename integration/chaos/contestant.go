package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lvsd/lvsd/integration/lab"
)

// A Contestant is a kind of daemon.
type Contestant interface {
	// Name is lvsd or keepalived.
	Name() string
	// Program is the path of it.
	Program() string
	// Text is the configuration of a node.
	Text(*Node, Config) string
	// Command runs the daemon.
	Command(*Node) lab.Command
	// Reload asks for the file to be read again and waits until it has been, or says
	// why it was refused.
	Reload(*Node) error
	// Restart ends the daemon in the way it likes best for a restart, and waits.
	Restart(*Node)
	// Role is "MASTER", "BACKUP", "FAULT" or "" for none, as the daemon says itself.
	Role(*Node) string
	// Settled is what the daemon says against having reached the desired state.
	Settled(*Node) error
	// Processes are those of a daemon, its own first.
	Processes(*Node) []int
	// Goroutines is how many there are; zero where there is no such thing.
	Goroutines(*Node) (int, error)
}

// processTree is a process and all its descendants, the parents first.
func processTree(pid int) []int {
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		// Each thread has children of its own.
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i])) // the pattern is sound
		for _, list := range lists {
			data, _ := os.ReadFile(list) // a thread that has ended has none
			for field := range strings.FieldsSeq(string(data)) {
				if child, err := strconv.Atoi(field); err == nil {
					all = append(all, child)
				}
			}
		}
	}
	return all
}

// program is where a contestant's program is.
func program(name string) string {
	for dir := range strings.SplitSeq(os.Getenv("PATH")+":/usr/sbin:/sbin", ":") {
		if path := dir + "/" + name; executable(path) {
			return path
		}
	}
	return name
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
