package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/lvsd/lvsd/config"
)

// watchDebounce is how long a file must rest before it is looked at: an editor or a
// copy changes it more than once.
const watchDebounce = 500 * time.Millisecond

const (
	// watchPatience bounds that where something else in the directory never rests.
	watchPatience = 5 * time.Second
	// maxLinks is how many links the kernel follows.
	maxLinks = 40
)

// fileWatch calls changed whenever the bytes of the file are others than before.
type fileWatch struct {
	path string
	// hash is of the bytes before, as in config.Config.
	hash    string
	changed func()
	// looked is called after each look, for tests; nil otherwise.
	looked func()
	log    *slog.Logger
}

// watch has the file reloaded whenever it changes, where c wants that.
func (r *reloader) watch(ctx context.Context, c *config.Config) error {
	if !c.Reload.Watch {
		return nil
	}
	w := fileWatch{path: r.flags.file.path, hash: c.Hash, changed: r.askIfEdited, log: r.log}
	return w.run(ctx)
}

// run watches until ctx ends. It watches directories: editors put a new file in place
// of the old one, and a path may lead through links that are changed.
func (w *fileWatch) run(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", w.path, err)
	}
	defer func() { _ = watcher.Close() }()
	if err := w.follow(watcher); err != nil {
		return err
	}
	due := time.NewTimer(0) // it may have changed since it was read
	defer due.Stop()
	var since time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-watcher.Errors:
			w.log.Warn("the configuration file may have changed unseen", "err", err)
			due.Reset(watchDebounce)
		case <-watcher.Events:
			if since.IsZero() {
				since = time.Now()
			}
			if time.Since(since) < watchPatience {
				due.Reset(watchDebounce)
			}
		case <-due.C:
			since = time.Time{}
			// First the links, or what changes in between would not be seen.
			if err := w.follow(watcher); err != nil {
				w.log.Warn("the configuration file is not watched", "err", err)
				due.Reset(time.Minute)
			}
			w.look()
			if w.looked != nil {
				w.looked()
			}
		}
	}
}

// follow watches the directories by which the path leads to the file now. All but the
// first may be gone any moment.
func (w *fileWatch) follow(watcher *fsnotify.Watcher) error {
	for n, directory := range directoriesOf(w.path) {
		if err := watcher.Add(directory); err != nil && n == 0 {
			return fmt.Errorf("watch %s: %w", directory, err)
		}
	}
	return nil
}

// directoriesOf are the directories that decide what the path leads to: its own, and
// those of the links on the way.
func directoriesOf(path string) []string {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	all := []string{filepath.Dir(path)}
	for range maxLinks {
		link, next := firstLink(path)
		if link == "" {
			break
		}
		path = next
		all = append(all, filepath.Dir(link), filepath.Dir(path))
	}
	return all
}

// firstLink returns the first link on the way to an absolute path, and the path with
// what it leads to in its place; without a link both are empty.
func firstLink(path string) (link, next string) {
	for n, c := range path {
		if c != filepath.Separator || n == 0 {
			continue
		}
		if target, err := os.Readlink(path[:n]); err == nil {
			return path[:n], filepath.Join(absolute(target, path[:n]), path[n:])
		}
	}
	target, err := os.Readlink(path)
	if err != nil {
		return "", ""
	}
	return path, absolute(target, path)
}

// absolute is what a link leads to.
func absolute(target, link string) string {
	if filepath.IsAbs(target) {
		return filepath.Clean(target)
	}
	return filepath.Join(filepath.Dir(link), target)
}

// look calls changed if the bytes are others. A file that is not there is on its way.
func (w *fileWatch) look() {
	hash, err := hashOf(w.path)
	if err != nil || hash == w.hash {
		return
	}
	w.hash = hash
	w.log.Info("the configuration file has changed", "config", w.path)
	w.changed()
}

// hashOf is config.HashOf of a file.
func hashOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	return config.HashOf(file)
}
