// Package lab builds networks out of network namespaces for tests and for the
// demo: hosts with names and addresses on one switch, daemons in them with
// their output kept, real servers of many protocols, clients that measure, and
// packet captures. A failing test prints what its hosts looked like.
//
// Every lab has a prefix of its own and removes all it made; what a killed run
// left behind is removed by the next. A program that uses the package calls
// Main first, because clients run inside a host by running the program again.
//
// It must not know lvsd: to a lab it is one more daemon.
package lab
