package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// metaPackage depends on the newest full kernel of the distribution. The cloud
// kernel will not do: it has no 9p.
const metaPackage = "linux-image-amd64"

// kernel is an unpacked kernel package.
type kernel struct {
	// image is the bzImage, modules the directory that modules.dep is in.
	image, modules string
	release        string
}

// prepareKernel returns the newest kernel of the cache directory; into an empty
// one it fetches the distribution's. The name of the entry has the package's
// version. Remove the entry to get a newer kernel.
func prepareKernel(ctx context.Context, cache string, log *slog.Logger) (kernel, error) {
	unlock, err := lock(ctx, cache, "kernel")
	if err != nil {
		return kernel{}, err
	}
	defer unlock()
	if k, found := newestCached(cache); found {
		return k, nil
	}
	name, version, err := kernelPackage(ctx)
	if err != nil {
		return kernel{}, err
	}
	dir := filepath.Join(cache, "kernel-"+version)
	log.Info("fetching the kernel", "package", name, "version", version, "cache", dir)
	if err := unpackKernel(ctx, cache, dir, name, version); err != nil {
		return kernel{}, fmt.Errorf("package %s: %w", name, err)
	}
	return openKernel(dir)
}

// kernelPackage resolves the meta package to the package it depends on.
func kernelPackage(ctx context.Context) (name, version string, err error) {
	out, err := output(ctx, "", "apt-cache", "show", "--no-all-versions", metaPackage)
	if err != nil {
		return "", "", err
	}
	for _, word := range strings.FieldsFunc(field(out, "Depends"), func(r rune) bool { return r == ' ' || r == ',' }) {
		if strings.HasPrefix(word, "linux-image-") {
			name = word
			break
		}
	}
	if name == "" {
		return "", "", fmt.Errorf("package %s: depends on no kernel", metaPackage)
	}
	out, err = output(ctx, "", "apt-cache", "show", "--no-all-versions", name)
	if err != nil {
		return "", "", err
	}
	if version = field(out, "Version"); version == "" {
		return "", "", fmt.Errorf("package %s: has no version", name)
	}
	return name, version, nil
}

// unpackKernel downloads beside the cache entry and renames it into place, so
// that an interrupted run leaves nothing that looks complete.
func unpackKernel(ctx context.Context, cache, dir, name, version string) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if _, err := output(ctx, tmp, "apt-get", "download", name+"="+version); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("apt-get download left %d packages", len(debs))
	}
	tree := filepath.Join(tmp, "tree")
	if _, err := output(ctx, "", "dpkg", "-x", debs[0], tree); err != nil {
		return err
	}
	k, err := findKernel(tree)
	if err != nil {
		return err
	}
	// The package leaves the index of modules to its post-installation script.
	if _, err := output(ctx, "", "depmod", "-b", moduleBase(tree), k.release); err != nil {
		return err
	}
	if err := os.Chmod(tree, 0o755); err != nil {
		return err
	}
	_ = os.RemoveAll(dir)
	return os.Rename(tree, dir)
}

// moduleBase is the directory that holds lib/modules; newer packages have only
// usr/lib.
func moduleBase(tree string) string {
	if _, err := os.Stat(filepath.Join(tree, "lib/modules")); err != nil {
		return filepath.Join(tree, "usr")
	}
	return tree
}

// openKernel is findKernel for a tree that must be complete.
func openKernel(dir string) (kernel, error) {
	k, err := findKernel(dir)
	if err != nil {
		return kernel{}, err
	}
	if _, err := os.Stat(filepath.Join(k.modules, "modules.dep")); err != nil {
		return kernel{}, err
	}
	return k, nil
}

func findKernel(tree string) (kernel, error) {
	images, _ := filepath.Glob(filepath.Join(tree, "boot/vmlinuz-*"))
	if len(images) != 1 {
		return kernel{}, fmt.Errorf("%s: %d kernel images, want 1", tree, len(images))
	}
	_, release, _ := strings.Cut(filepath.Base(images[0]), "-")
	modules := filepath.Join(moduleBase(tree), "lib/modules", release)
	if _, err := os.Stat(modules); err != nil {
		return kernel{}, err
	}
	return kernel{image: images[0], modules: modules, release: release}, nil
}

func newestCached(cache string) (kernel, bool) {
	dirs, _ := filepath.Glob(filepath.Join(cache, "kernel-*"))
	for i := len(dirs) - 1; i >= 0; i-- {
		if k, err := openKernel(dirs[i]); err == nil {
			return k, true
		}
	}
	return kernel{}, false
}

// field returns the value of the first "Name: value" line.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name+": "); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// output runs a command and returns what it printed; the error carries what it
// complained of.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("%s: %w: %s", cmd, err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", cmd, err)
	}
	return string(out), nil
}
