// Package command runs one program to its end, or kills its process group, and
// returns what it printed. It refuses files that others may change. It must not
// know what the program is for.
//
// A command is an argument vector, run without a shell in a process group of
// its own, with / as working directory and /dev/null as standard input.
package command
