// Package sysctl reads, sets and restores kernel parameters below /proc/sys.
// It must not know which values lvsd needs or why: the director says that.
package sysctl
