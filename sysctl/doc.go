// Package sysctl reads and sets kernel parameters below /proc/sys. It must not
// know which values lvsd needs or why: the director says that.
package sysctl
