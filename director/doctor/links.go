package doctor

import (
	"fmt"
	"slices"
)

// findLinks tells of interfaces that make of packets what cannot be sent on.
func findLinks(c *Case) []Finding {
	var found []Finding
	for _, name := range slices.Concat(clientInterfaces(c.Config, false), clientInterfaces(c.Config, true)) {
		if !c.Links[name].LRO {
			continue
		}
		found = append(found, Finding{
			ID: "lro-on", Severity: Warning, Subject: "interface " + name,
			What:   "it merges packets that it receives (large receive offload)",
			Breaks: "merged packets are larger than the way to the real servers takes, and are dropped: uploads are slow or hang",
			Mend:   fmt.Sprintf("ethtool -K %s lro off", name),
		})
	}
	return found
}
