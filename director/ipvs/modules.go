package ipvs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// modules are where the kernel and its packages name modules.
type modules struct {
	loaded fs.FS // /sys/module
	// installed is /lib/modules/RELEASE, with modules.builtin and modules.dep;
	// nil where the release is not known.
	installed fs.FS
}

func hostModules() modules {
	m := modules{loaded: os.DirFS("/sys/module")}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.installed = os.DirFS(path.Join("/lib/modules", strings.TrimSpace(string(release))))
	}
	return m
}

// has tells whether a module is loaded, built in or can be loaded. It returns
// ErrCannotTell if it is not loaded and there is no list of the others.
func (m modules) has(name string) (bool, error) {
	if _, err := fs.Stat(m.loaded, name); err == nil {
		return true, nil
	}
	if m.installed == nil {
		return false, fmt.Errorf("%w whether the kernel has %s: it is not loaded", ErrCannotTell, name)
	}
	for _, file := range []string{"modules.builtin", "modules.dep"} {
		list, err := fs.ReadFile(m.installed, file)
		if err != nil {
			return false, fmt.Errorf("%w whether the kernel has %s: %w", ErrCannotTell, name, err)
		}
		if listsModule(string(list), name) {
			return true, nil
		}
	}
	return false, nil
}

// lookForNeeds tells of what is missing among n without trying: why says why
// it is not tried.
func lookForNeeds(n Needs, m modules, why error) (missing []error, err error) {
	look := func(module string, gone error) {
		switch has, cannot := m.has(module); {
		case cannot != nil:
			err = errors.Join(err, cannot)
		case !has:
			missing = append(missing, gone)
		}
	}
	look("ip_vs", ErrUnavailable)
	for _, name := range n.Schedulers {
		if name != "" && name != noScheduler {
			look(schedulerModule(name), missingScheduler(name))
		}
	}
	for _, name := range n.Engines {
		if name != "" {
			look(engineModule(name), missingEngine(name))
		}
	}
	open := len(n.Protocols) + len(n.Families) + len(n.Tunnels)
	if open > 0 {
		err = errors.Join(err, fmt.Errorf("%w whether the kernel has the protocols, families and tunnels needed: %w",
			ErrCannotTell, why))
	}
	return missing, err
}

// listsModule tells whether a list has the module as the first word of a line,
// which is its path: kernel/net/netfilter/ipvs/ip_vs_rr.ko.xz.
func listsModule(list, name string) bool {
	for line := range strings.Lines(list) {
		file, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		module, _, _ := strings.Cut(path.Base(file), ".ko")
		if strings.ReplaceAll(module, "-", "_") == name {
			return true
		}
	}
	return false
}
