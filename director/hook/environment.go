package hook

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// defaultPath is used when this process has no PATH, or one with a relative
// directory in it.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment returns what a command sees, sorted: a few harmless variables of
// this process, the configured ones, and the event.
func environment(e Event, configured map[string]string) []string {
	variables := inherited(os.Environ())
	maps.Copy(variables, configured)
	maps.Copy(variables, map[string]string{
		"LVSD_INSTANCE":       e.Instance,
		"LVSD_INTERFACE":      e.Interface,
		"LVSD_PREVIOUS_STATE": e.Previous,
		"LVSD_PRIORITY":       strconv.Itoa(e.Priority),
		// A zero byte, in the words of someone else, would keep it from running.
		"LVSD_REASON":    sanitise(e.Reason),
		"LVSD_ROUTER_ID": e.RouterID,
		"LVSD_STATE":     e.State,
		"LVSD_VIPS":      strings.Join(e.VIPs, " "),
		"LVSD_VRID":      strconv.Itoa(e.VRID),
	})
	all := make([]string, 0, len(variables))
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		all = append(all, name+"="+variables[name])
	}
	return all
}

// inherited returns what may pass from this process: nothing that changes how a
// program is loaded (LD_*) or speaks to the service manager (NOTIFY_SOCKET).
func inherited(environ []string) map[string]string {
	variables := map[string]string{"PATH": defaultPath}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		switch {
		case name == "PATH" && !isSafePath(value):
		case name == "PATH", name == "HOME", name == "LANG", name == "TZ", strings.HasPrefix(name, "LC_"):
			variables[name] = value
		}
	}
	return variables
}

// isSafePath reports whether every directory is absolute; an empty one stands
// for the working directory.
func isSafePath(path string) bool {
	for _, dir := range strings.Split(path, ":") {
		if !filepath.IsAbs(dir) {
			return false
		}
	}
	return true
}
