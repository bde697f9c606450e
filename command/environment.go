package command

import (
	"path/filepath"
	"strings"
)

// DefaultPath is used when this process has no PATH, or one with a relative
// directory in it.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Inherited returns what may pass from this process's environment: PATH, made
// safe, and HOME, LANG, TZ and LC_* as far as they are set; but nothing that
// changes how a program is loaded (LD_*) or speaks to the service manager
// (NOTIFY_SOCKET).
func Inherited(environ []string) map[string]string {
	variables := map[string]string{"PATH": DefaultPath}
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

// Environment is all that a script gets to know: the variables, each "NAME=value",
// and of this process's environment PATH and LANG, see Inherited.
func Environment(environ []string, variables ...string) []string {
	inherited := Inherited(environ)
	variables = append(variables, "PATH="+inherited["PATH"])
	if lang, ok := inherited["LANG"]; ok {
		variables = append(variables, "LANG="+lang)
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
