package director

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/iptables"
	"github.com/lvsd/lvsd/sysctl"
)

// Lack is something that a configuration needs of the host and that is not there,
// or not known to be.
type Lack struct {
	// What is not there: "interface eth7".
	What string
	// Breaks says what does not work without it.
	Breaks string
	// Mend is the command that helps; empty if there is no one command.
	Mend string
	// Unknown is why it could not be looked at; empty if it is missing for sure.
	Unknown string
}

// Lacks looks for what c needs of this host and returns what is missing. It
// changes nothing, except that to look at IPVS and rules loads the kernel's
// modules for them.
func Lacks(c *config.Config) []Lack {
	return slices.Concat(lacksOfIPVS(c), lacksOfInterfaces(c), lacksOfFirewall(c), lacksOfChecks(c), lacksOfSysctls(c))
}

// lacksOfIPVS tries what the virtual services need in a network namespace of its
// own. Each error names what to load.
func lacksOfIPVS(c *config.Config) []Lack {
	if len(c.Services) == 0 && c.Sync == nil {
		return nil
	}
	missing, err := ipvs.Missing(needsOf(c))
	var lacks []Lack
	for _, err := range missing {
		lacks = append(lacks, Lack{What: err.Error(), Breaks: "virtual services that need it cannot be made"})
	}
	if err != nil {
		lacks = append(lacks, Lack{What: "IPVS", Unknown: err.Error()})
	}
	return lacks
}

// use is an interface and who needs it.
type use struct{ device, breaks string }

func lacksOfInterfaces(c *config.Config) []Lack {
	var uses []use
	for _, v := range c.VRRP {
		uses = append(uses, use{v.Interface, fmt.Sprintf("instance %s is in FAULT", v.Router.Name)})
		for _, vip := range v.VIPs {
			uses = append(uses, use{vip.Interface, fmt.Sprintf("instance %s cannot have VIP %s", v.Router.Name, vip.Addr)})
		}
		for _, route := range v.Routes {
			if route.Interface != "" {
				uses = append(uses, use{route.Interface, fmt.Sprintf("instance %s cannot have its routes", v.Router.Name)})
			}
		}
	}
	if c.Sync != nil {
		uses = append(uses, use{c.Sync.Interface, "connections are not synchronised"})
	}
	uses = append(uses, interfacesOfChecks(c)...)
	present, err := net.Interfaces()
	if err != nil {
		return []Lack{{What: "interfaces", Unknown: err.Error()}}
	}
	names := make([]string, len(present))
	for i := range present {
		names[i] = present[i].Name
	}
	var lacks []Lack
	seen := Set[string]{}
	for _, u := range uses {
		if seen.Has(u.device) || slices.Contains(names, u.device) {
			continue
		}
		seen.Add(u.device)
		lacks = append(lacks, Lack{What: "interface " + u.device + suggestion(u.device, names), Breaks: u.breaks})
	}
	return lacks
}

func suggestion(name string, names []string) string {
	if near := config.Nearest(name, names); near != "" {
		return fmt.Sprintf(" (nearest is %s)", near)
	}
	return ""
}

func lacksOfFirewall(c *config.Config) []Lack {
	chains := chainsFor(c)
	if len(chains) == 0 {
		return nil
	}
	lack := Lack{What: "firewall rules", Breaks: "no REDIRECT, MARK or SNAT rule can be made"}
	if os.Geteuid() != 0 {
		lack.Unknown = "iptables works for root only"
		return []Lack{lack}
	}
	if _, err := iptables.New(c.Global.LockWait, keysOf(chains)...); err != nil {
		lack.What += fmt.Sprintf(": %v", err)
		return []Lack{lack}
	}
	return nil
}

// lacksOfSysctls are the parameters that the kernel does not have, and those that
// have another value which lvsd is not to set.
func lacksOfSysctls(c *config.Config) []Lack {
	var tree sysctl.Tree
	var lacks []Lack
	for _, r := range Requirements(c) {
		value, err := tree.Get(r.Name)
		lack := Lack{What: r.Name, Breaks: r.Why}
		switch {
		case errors.Is(err, sysctl.ErrNotExist) && strings.HasPrefix(r.Name, "net.ipv4.vs.") && !ipvsLoaded():
			continue // it comes with the module
		case errors.Is(err, sysctl.ErrNotExist):
			lack.What = fmt.Sprintf("kernel parameter %s", r.Name)
		case err != nil:
			lack.Unknown = err.Error()
		case value == r.Value || r.Always || c.Sysctl.Manage:
			continue
		default:
			lack.What = fmt.Sprintf("%s is %s, should be %s", r.Name, value, r.Value)
			lack.Mend = fmt.Sprintf("sysctl -w %s=%s", r.Name, r.Value)
		}
		lacks = append(lacks, lack)
	}
	slices.SortStableFunc(lacks, func(a, b Lack) int { return cmp.Compare(a.What, b.What) })
	return lacks
}

func ipvsLoaded() bool {
	_, err := os.Stat("/proc/sys/net/ipv4/vs")
	return err == nil
}

// String is the Lack in one line.
func (l Lack) String() string {
	var parts []string
	if l.Unknown != "" {
		parts = append(parts, "not checked: "+l.What, l.Unknown)
	} else {
		parts = append(parts, "missing: "+l.What)
	}
	if l.Breaks != "" && l.Unknown == "" {
		parts = append(parts, l.Breaks)
	}
	if l.Mend != "" {
		parts = append(parts, "run: "+l.Mend)
	}
	return strings.ReplaceAll(strings.Join(parts, "; "), "\n", "; ")
}
