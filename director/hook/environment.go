package hook

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/lvsd/lvsd/command"
)

// environment returns what a command sees, sorted: a few harmless variables of
// this process, the configured ones, and the event.
func environment(e Event, c Commands) []string {
	variables := command.Inherited(os.Environ())
	if c.User != "" {
		delete(variables, "HOME") // of another user
	}
	maps.Copy(variables, c.Environment)
	maps.Copy(variables, map[string]string{
		"LVSD_PREVIOUS_STATE": e.Previous,
		// A zero byte, in the words of someone else, would keep it from running.
		"LVSD_REASON":    command.Printable(e.Reason),
		"LVSD_ROUTER_ID": e.RouterID,
		"LVSD_STATE":     e.State,
	})
	maps.Copy(variables, e.whose())
	all := make([]string, 0, len(variables))
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		all = append(all, name+"="+variables[name])
	}
	return all
}

// whose are the variables that say what changed its state.
func (e Event) whose() map[string]string {
	if e.Service != "" {
		return map[string]string{
			"LVSD_SERVICE": e.Service,
			"LVSD_SERVER":  e.Server,
			"LVSD_QUORUM":  strconv.Itoa(e.Quorum),
			"LVSD_WEIGHT":  strconv.Itoa(e.Weight),
		}
	}
	if e.Group != "" {
		return map[string]string{"LVSD_GROUP": e.Group}
	}
	return map[string]string{
		"LVSD_INSTANCE":  e.Instance,
		"LVSD_INTERFACE": e.Interface,
		"LVSD_PRIORITY":  strconv.Itoa(e.Priority),
		"LVSD_VIPS":      strings.Join(e.VIPs, " "),
		"LVSD_VRID":      strconv.Itoa(e.VRID),
	}
}
