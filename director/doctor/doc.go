// Package doctor looks for what keeps a configuration from working on a host and
// its segments: it says what is wrong, what that breaks, and the one command that
// mends it.
//
// Gather reads the host and probes its neighbours; Examine, which is pure, makes
// findings of that. Nothing is changed, except that reading IPVS and rules may
// load the kernel's modules for them.
//
// It must not mend anything, nor know how findings are printed.
package doctor
