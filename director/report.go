package director

import (
	"strings"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
)

// The bounds of a report: every node gets one every few seconds.
const (
	// reportAll is how many real servers are told of whatever their state. Of more
	// than that, those that are up are left out.
	reportAll = 1000
	// reportMost is how many are told of at all.
	reportMost = 10000
	// reportReason bounds the reason of each, in bytes.
	reportReason = 200
)

// Report is what this node tells the others of itself. It is much cheaper than
// Status: it looks at no more than it tells.
func (d *Director) Report() NodeReport {
	d.mu.Lock()
	c, ready, roles := d.config, d.status.ready, d.roles()
	d.mu.Unlock()
	report := NodeReport{
		Version: d.Version, Started: d.started, ConfigHash: c.Hash, Ready: ready,
		Maintenance: d.inMaintenance(time.Now()) != nil,
		Roles:       make(map[string]string, len(roles)),
		Servers:     d.reportServers(c),
	}
	for name, role := range roles {
		report.Roles[name] = strings.ToLower(role.String())
	}
	report.bound()
	return report
}

// reportServers tells of all real servers of the file, in its order.
func (d *Director) reportServers(c *config.Config) []ServerReport {
	count := 0
	for i := range c.Services {
		count += len(c.Services[i].RealServers)
	}
	all := make([]ServerReport, 0, count)
	d.seen.RLock()
	defer d.seen.RUnlock()
	counted := byKey(d.view.snapshot.Services)
	for i := range c.Services {
		service := &c.Services[i]
		present := d.view.have.Services[service.IPVS.ServiceKey]
		counts := connections(counted[service.IPVS.ServiceKey])
		for j := range service.RealServers {
			server := &service.RealServers[j]
			var kernel RealServerStatus
			kernel.inKernel(present, counts, server.Address)
			v := verdictOf(server, d.statusOf)
			told := ServerReport{
				Service: service.Name, Address: server.Address.String(), State: v.State.String(),
				Weight: kernel.KernelWeight, Active: kernel.Active,
			}
			if v.State != healthcheck.Up {
				told.Reason = v.reason(server)
			}
			all = append(all, told)
		}
	}
	return all
}

// bound leaves out of a large report what is as it should be, and then what is
// beyond all bounds.
func (r *NodeReport) bound() {
	if len(r.Servers) > reportAll {
		r.UpOmitted = true
		kept := r.Servers[:0]
		for _, server := range r.Servers {
			if server.State != stateUp {
				kept = append(kept, server)
			}
		}
		r.Servers = kept
	}
	if len(r.Servers) > reportMost {
		r.Servers, r.UpOmitted = r.Servers[:reportMost], false
	}
	for i := range r.Servers {
		r.Servers[i].Reason = cutText(r.Servers[i].Reason, reportReason)
	}
}

// cutText is at most limit bytes of text, of whole characters.
func cutText(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "")
}
