package doctor

import (
	"cmp"
	"slices"
)

// Schema is the Report's, whose fields are only ever added to.
const Schema = "lvsd.doctor/1"

// Severity is how grave a Finding is.
type Severity string

// The severities. Only a note is compatible with a host in order.
const (
	// Error: traffic is lost, now or after the next change of roles.
	Error Severity = "error"
	// Warning: traffic is lost under some condition.
	Warning Severity = "warning"
	// Note: something to know, which may be as it should.
	Note Severity = "note"
)

// rank orders severities, the gravest first.
func (s Severity) rank() int { return slices.Index([]Severity{Error, Warning, Note}, s) }

// Finding is one thing that is wrong.
type Finding struct {
	// Check is the name of the check that found it.
	Check string `json:"check"`
	// ID tells what kind of thing it is: "arp-conflict". IDs do not change.
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	// Subject is what it is about: "192.0.2.100 on eth0".
	Subject string `json:"subject"`
	// What is the case, and what it Breaks.
	What   string `json:"what"`
	Breaks string `json:"breaks"`
	// Mend is the command that mends it; empty where no one command does. On is
	// where to run it; empty is this host. Edit is what to change in the
	// configuration before that; empty is nothing.
	Mend string `json:"mend,omitempty"`
	On   string `json:"on,omitempty"`
	Edit string `json:"edit,omitempty"`
}

// reload makes lvsd take an edited configuration.
const reload = "systemctl reload lvsd"

// Unchecked is something that could not be looked at.
type Unchecked struct {
	// What was to be looked at, and Why it could not be.
	What string `json:"what"`
	Why  string `json:"why"`
}

// Report is all that was found.
type Report struct {
	// Schema is "lvsd.doctor/1".
	Schema string `json:"schema"`
	// Daemon is the process ID of the daemon that runs here; 0 is none.
	Daemon int `json:"daemon_pid"`
	// Findings stand in the order of Checks, the gravest of each first.
	Findings []Finding `json:"findings"`
	// Unchecked is what could not be looked at.
	Unchecked []Unchecked `json:"unchecked"`
	// Checks are the names of all checks, and OK counts those without findings.
	Checks []string `json:"checks"`
	OK     int      `json:"ok"`
}

// Wrong reports whether there is a finding above a note.
func (r Report) Wrong() bool { return r.Count(Error)+r.Count(Warning) > 0 }

// Count counts the findings of a severity.
func (r Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// Of returns the findings of the check of that name.
func (r Report) Of(check string) []Finding {
	var found []Finding
	for _, f := range r.Findings {
		if f.Check == check {
			found = append(found, f)
		}
	}
	return found
}

// distinct returns the findings, the gravest first; of several of one kind and
// subject only the first stays.
func distinct(findings []Finding) []Finding {
	type key struct{ id, subject string }
	seen := map[key]bool{}
	findings = slices.DeleteFunc(findings, func(f Finding) bool {
		k := key{f.ID, f.Subject}
		defer func() { seen[k] = true }()
		return seen[k]
	})
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(a.Severity.rank(), b.Severity.rank()) })
	return findings
}
