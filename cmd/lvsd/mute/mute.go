// Package mute keeps lvsd from asking its terminal for colours while it starts.
//
// The library that draws lvsd top does so before main runs, in every command, and waits
// five seconds for a terminal that does not answer, taking what is typed meanwhile for
// the answer. It asks none that is called dumb. So that is what the terminal is called
// from before that library is initialised until End: this package imports nothing that
// would have it initialised later. It must not know of anything else.
package mute

import "os"

const variable = "TERM"

// before is how the terminal was called.
var before, named = begin()

func begin() (name string, named bool) {
	name, named = os.LookupEnv(variable)
	_ = os.Setenv(variable, "dumb") // it fails for impossible names only
	return name, named
}

// End calls the terminal by its own name again. It is to be called first of all.
func End() {
	if named {
		_ = os.Setenv(variable, before)
		return
	}
	_ = os.Unsetenv(variable)
}
