// Package hook runs the notify commands of one VRRP instance: in order, never
// two at once, and only the latest change when they come faster than commands
// end. It must not know VRRP, the kernel or configuration files.
//
// A command is an argument vector, run without a shell in a process group of
// its own, with a clean environment, /dev/null as standard input, bounded time
// and bounded, captured output.
package hook
