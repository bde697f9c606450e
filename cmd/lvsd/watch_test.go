package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lvsd/lvsd/config"
)

// replaceFile puts a file with the text in place of another one, as editors do.
func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	next := filepath.Join(filepath.Dir(path), "next")
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// swapLink makes a link lead somewhere else in one step.
func swapLink(t *testing.T, target, link string) {
	t.Helper()
	next := link + ".next"
	if err := os.Symlink(target, next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, link); err != nil {
		t.Fatal(err)
	}
}

func makeDirectory(t *testing.T, elements ...string) string {
	t.Helper()
	path := filepath.Join(elements...)
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

const watchedText = "[[accept]]\nvips = [\"192.0.2.1\"]\n"

// TestFileWatch changes a file in every way that changes its bytes.
func TestFileWatch(t *testing.T) {
	for _, tt := range []struct {
		name string
		// layout makes the file with watchedText and returns its path, change gives it
		// other bytes.
		layout func(t *testing.T, dir string) string
		change func(t *testing.T, dir string)
	}{
		{
			name: "written over", layout: plainFile,
			change: func(t *testing.T, dir string) {
				if err := os.WriteFile(filepath.Join(dir, "lvsd.toml"), []byte("other"), 0o600); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			name: "replaced", layout: plainFile,
			change: func(t *testing.T, dir string) { replaceFile(t, filepath.Join(dir, "lvsd.toml"), "other") },
		},
		{
			name: "removed and made again", layout: plainFile,
			change: func(t *testing.T, dir string) {
				if err := os.Remove(filepath.Join(dir, "lvsd.toml")); err != nil {
					t.Fatal(err)
				}
				replaceFile(t, filepath.Join(dir, "lvsd.toml"), "other")
			},
		},
		{
			name: "a link, its target replaced",
			layout: func(t *testing.T, dir string) string {
				replaceFile(t, filepath.Join(makeDirectory(t, dir, "real"), "lvsd.toml"), watchedText)
				swapLink(t, "../real/lvsd.toml", filepath.Join(makeDirectory(t, dir, "etc"), "lvsd.toml"))
				return filepath.Join(dir, "etc", "lvsd.toml")
			},
			change: func(t *testing.T, dir string) { replaceFile(t, filepath.Join(dir, "real", "lvsd.toml"), "other") },
		},
		{
			name: "a directory on the way swapped",
			layout: func(t *testing.T, dir string) string {
				replaceFile(t, filepath.Join(makeDirectory(t, dir, "releases", "1"), "lvsd.toml"), watchedText)
				replaceFile(t, filepath.Join(makeDirectory(t, dir, "releases", "2"), "lvsd.toml"), "other")
				swapLink(t, "1", filepath.Join(dir, "releases", "current"))
				swapLink(t, filepath.Join(dir, "releases", "current", "lvsd.toml"), filepath.Join(makeDirectory(t, dir, "etc"), "lvsd.toml"))
				return filepath.Join(dir, "etc", "lvsd.toml")
			},
			change: func(t *testing.T, dir string) { swapLink(t, "2", filepath.Join(dir, "releases", "current")) },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			changed, _ := watch(t, tt.layout(t, dir), watchedText)
			tt.change(t, dir)
			select {
			case <-changed:
			case <-time.After(2 * time.Minute):
				t.Fatal("it was not seen")
			}
		})
	}
}

func plainFile(t *testing.T, dir string) string {
	replaceFile(t, filepath.Join(dir, "lvsd.toml"), watchedText)
	return filepath.Join(dir, "lvsd.toml")
}

// watch watches the file, whose text was once before, until the test ends. It returns
// when the watch stands.
func watch(t *testing.T, path, before string) (changed, looks <-chan struct{}) {
	t.Helper()
	c, err := config.Parse("before", []byte(before), "relay1")
	if err != nil {
		t.Fatal(err)
	}
	seen, looked := make(chan struct{}, 8), make(chan struct{}, 8)
	w := fileWatch{
		path: path, hash: c.Hash, log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		changed: func() { seen <- struct{}{} }, looked: func() { looked <- struct{}{} },
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-looked
	return seen, looked
}

// TestFileWatchIsAboutBytes: what changed before the watch stood is seen, once, and
// the same bytes in another file are none.
func TestFileWatchIsAboutBytes(t *testing.T) {
	t.Parallel()
	path := plainFile(t, t.TempDir())
	replaceFile(t, path, "other")
	changed, looks := watch(t, path, watchedText)
	<-changed
	replaceFile(t, path, "other")
	<-looks
	select {
	case <-changed:
		t.Error("the same bytes were taken for a change")
	default:
	}
	replaceFile(t, path, "more")
	<-changed
}

func TestDirectoriesOf(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	etc, releases := makeDirectory(t, dir, "etc"), makeDirectory(t, dir, "releases")
	swapLink(t, "current", filepath.Join(releases, "1"))
	swapLink(t, "1", filepath.Join(releases, "current")) // a circle
	swapLink(t, "../releases/none/lvsd.toml", filepath.Join(etc, "lvsd.toml"))
	swapLink(t, "../releases/current/lvsd.toml", filepath.Join(etc, "circle.toml"))
	got := directoriesOf(filepath.Join(etc, "lvsd.toml"))
	if want := []string{etc, etc, filepath.Join(releases, "none")}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := directoriesOf(filepath.Join(etc, "circle.toml")); len(got) != 1+2*maxLinks || !slices.Contains(got, releases) {
		t.Errorf("of a circle: %q", got)
	}
}
