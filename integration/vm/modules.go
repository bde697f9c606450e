package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// earlyModules is what it takes to report to the host and to see its root.
var earlyModules = []string{"virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"}

// guestModules is what the tests use. Much of it would be loaded on demand; it
// is loaded beforehand so that a kernel that lacks it says so at once, and
// because a namespace's first iptables rule should not wait for modprobe.
var guestModules = []string{
	"ip_vs",
	"ip_vs_rr", "ip_vs_wrr", "ip_vs_lc", "ip_vs_wlc", "ip_vs_lblc", "ip_vs_lblcr", "ip_vs_dh",
	"ip_vs_sh", "ip_vs_sed", "ip_vs_nq", "ip_vs_fo", "ip_vs_ovf", "ip_vs_mh", "ip_vs_twos",
	"ip_vs_pe_sip", "ip_vs_ftp",
	"nf_tables", "nft_compat", "nft_chain_nat", "nft_redir",
	"ip_tables", "iptable_nat", "iptable_mangle", "iptable_filter",
	"ip6_tables", "ip6table_nat", "ip6table_mangle", "ip6table_filter",
	"xt_REDIRECT", "xt_comment", "xt_tcpudp", "xt_mark", "xt_ipvs", "xt_conntrack", "xt_multiport",
	"xt_nat", "xt_MASQUERADE", "xt_sctp",
	"nf_conntrack_netlink", "sctp",
	"veth", "bridge", "dummy", "macvlan", "af_packet", "ipip", "sch_netem",
}

// networkModules is what a guest with a network card needs besides.
var networkModules = []string{"virtio_net"}

// moduleIndex is modules.dep: each module's file and the files it needs, all
// relative to the module directory.
type moduleIndex map[string]moduleFiles

type moduleFiles struct {
	path  string
	needs []string
}

// readModuleIndex reads modules.dep of a module directory.
func readModuleIndex(dir string) (moduleIndex, error) {
	b, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, err
	}
	return parseModuleIndex(string(b))
}

func parseModuleIndex(text string) (moduleIndex, error) {
	index := moduleIndex{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		path, needs, found := strings.Cut(strings.TrimSpace(line), ":")
		if !found {
			return nil, fmt.Errorf("modules.dep:%d: no colon", n)
		}
		index[moduleName(path)] = moduleFiles{path, strings.Fields(needs)}
	}
	return index, nil
}

// moduleName is the name the kernel knows a module file by.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	return strings.ReplaceAll(name, "-", "_")
}

// resolve returns the files of the named modules and of all they need, each
// once, needed ones first. A module that the index lacks is built in or absent;
// the kernel will tell.
func (index moduleIndex) resolve(names ...string) []string {
	var order []string
	add := func(path string) {
		if !slices.Contains(order, path) {
			order = append(order, path)
		}
	}
	for _, name := range names {
		files, found := index[name]
		if !found {
			continue
		}
		// modules.dep lists the whole closure, the last to load first.
		for _, path := range slices.Backward(files.needs) {
			add(path)
		}
		add(files.path)
	}
	return order
}

// present returns those of the names that are modules of this kernel.
func (index moduleIndex) present(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, found := index[name]
		return !found
	})
}
