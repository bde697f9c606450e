// Command chaos breaks two directors on purpose and measures what a client has of
// it: lvsd, and beside it keepalived under the same fault in the same run. It runs
// as root on a kernel with ip_vs; LVSD_BINARY names the lvsd program.
//
//	chaos faults   each fault in turn, then some at random from a printed seed
//	chaos soak     reloads without end, and a long time under faults: what grows?
//
// A [Fault] is one thing that goes wrong; a file of faults has one kind of them. A
// [Site] is one contestant's network: directors, real servers and a client on a
// segment of their own. A [Load] is what the client does meanwhile. Every fault is
// injected, held and mended in the same way, by run.go, which waits for the desired
// state before and after.
//
// What lvsd promises, whatever the speed of the machine, fails the run: connections
// lost where none may be, a state that does not come back, memory, descriptors or
// goroutines that stay. Times are printed, beside what the protocol allows, and fail
// nothing.
package main
