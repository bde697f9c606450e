package probe

import (
	"net"
	"strings"
)

// isWord reports whether s can be written into a line of a text protocol
// without ending the word or the line.
func isWord(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// hostName is the name in a Host header: without port and brackets.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}
