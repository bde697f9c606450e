package main

import (
	"log/slog"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// How much the heap may grow before the collector runs, in percent. To read a
// large file fills it with what is needed once; what stays is small and hardly
// changes, and nothing is gained by keeping as much again unused.
const (
	gcWhileLoading = 400
	gcAtRest       = 50
)

// loading prepares the heap for a configuration that is read.
func loading() { debug.SetGCPercent(gcWhileLoading) }

// rest gives back what it took to read a configuration and to apply it. It takes
// as long as a garbage collection.
func rest() {
	debug.SetGCPercent(gcAtRest)
	debug.FreeOSMemory()
}

// refuseHugePages keeps the kernel from backing the heap with huge pages, of which
// one that is in use anywhere takes 2 MB. Commands that are run as hooks inherit
// that.
func refuseHugePages(log *slog.Logger) {
	if err := unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0); err != nil {
		log.Debug("huge pages stay on", "err", err)
	}
}
