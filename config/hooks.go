package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// hookTimeout bounds a hook unless the file says otherwise.
const hookTimeout = 30 * time.Second

// readHooks reads [vrrp.notify] or [sync_group.notify].
func readHooks(t *table) Hooks {
	defer t.close()
	return Hooks{
		Master:      readCommand(t, "master", "[]"),
		Backup:      readCommand(t, "backup", "[]"),
		Fault:       readCommand(t, "fault", "[]"),
		Stop:        readCommand(t, "stop", "[]"),
		Any:         readCommand(t, "any", "[]"),
		Timeout:     readHookTimeout(t),
		User:        readHookUser(t),
		Environment: readEnvironment(t),
	}
}

// readServiceHooks reads [virtual_service.hooks].
func readServiceHooks(main *table) ServiceHooks {
	t := main.sub("hooks")
	if t == nil {
		return ServiceHooks{Timeout: hookTimeout}
	}
	defer t.close()
	return ServiceHooks{
		QuorumUp:    readCommand(t, "quorum_up", "[]"),
		QuorumDown:  readCommand(t, "quorum_down", "[]"),
		ServerUp:    readCommand(t, "server_up", "[]"),
		ServerDown:  readCommand(t, "server_down", "[]"),
		Timeout:     readHookTimeout(t),
		User:        readHookUser(t),
		Environment: readEnvironment(t),
	}
}

func readHookTimeout(t *table) time.Duration {
	return read(t, "timeout", duration(100*time.Millisecond, time.Hour, 1)).or(hookTimeout)
}

func readHookUser(t *table) string {
	return read(t, "user", kinds.user).orElse("", "global.script_user")
}

// readCommand reads the argument vector of a command; an empty one is none.
func readCommand(t *table, key, fallback string) []string {
	argv, _ := readList(t, key, text("", "a string", func(s string) error {
		if strings.ContainsRune(s, 0) {
			return fmt.Errorf("%q contains a zero byte, which no argument can", s)
		}
		return nil
	}), fallback)
	for _, l := range t.layers {
		if first, ok := firstString(l.values[key]); ok && !filepath.IsAbs(first) {
			t.fail(l.path.key(key).index(0), "%q is not an absolute path, expected one that starts with /: commands run without a shell", first)
		}
	}
	return plain(argv)
}

func firstString(raw any) (string, bool) {
	list, _ := raw.([]any)
	if len(list) == 0 {
		return "", false
	}
	first, ok := list[0].(string)
	return first, ok
}

// readEnvironment reads the variables of a hook.
func readEnvironment(t *table) map[string]string {
	env := t.sub("environment")
	t.describe("environment", "table of strings", "names of letters, digits and _", "none")
	if env == nil {
		return nil
	}
	variables := make(map[string]string)
	for _, l := range slices.Backward(env.layers) {
		for _, name := range slices.Sorted(maps.Keys(l.values)) {
			v, ok := l.values[name].(string)
			switch at := l.path.key(name); {
			case !isBare(name) || strings.Contains(name, "-"):
				t.failKey(at, "%q is not a variable name, expected letters, digits and _", name)
			case !ok:
				t.fail(at, "%s, expected a string", describe(l.values[name]))
			case strings.ContainsRune(v, 0):
				t.fail(at, "%q contains a zero byte, which no variable can", v)
			default:
				variables[name] = v
			}
		}
	}
	return variables
}
