package probe

import "strings"

// extensions is what a server says in its answer to EHLO, as far as a check
// uses it.
type extensions struct {
	startTLS bool
	// auth are the mechanisms, in capitals.
	auth []string
}

// parseExtensions reads the lines of the answer but for the first, each with its
// code (RFC 5321 4.1.1.1). Some servers write "AUTH=" for clients older than
// RFC 2554.
func parseExtensions(lines []string) extensions {
	var e extensions
	for _, line := range lines {
		if len(line) < len("250 ") {
			continue
		}
		words := strings.Fields(strings.ToUpper(line[len("250 "):]))
		if len(words) == 0 {
			continue
		}
		keyword, mechanism, old := strings.Cut(words[0], "=")
		switch {
		case words[0] == "STARTTLS":
			e.startTLS = true
		case keyword == "AUTH" && old && mechanism != "":
			e.auth = append(e.auth, mechanism)
			fallthrough
		case keyword == "AUTH":
			e.auth = append(e.auth, words[1:]...)
		}
	}
	return e
}
