package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/ipvsadm"
)

// listArguments are the options of list by the name that conflicts know.
var listArguments = map[string]string{
	"tcp-service": "-t 192.0.2.1:80", "udp-service": "-u 192.0.2.1:53", "sctp-service": "--sctp-service 192.0.2.1:3868",
	"fwmark-service": "-f 7", "ipv6": "-6",
	"numeric": "-n", "connection": "-c", "timeout": "--timeout", "daemon": "--daemon", "save": "-S",
	"stats": "--stats", "rate": "--rate", "thresholds": "--thresholds", "persistent-conn": "--persistent-conn",
	"tun-info": "--tun-info", "exact": "-X", "sort": "--sort", "nosort": "--nosort",
}

// refusedPairs are the options that ipvsadm 1.31 was seen to refuse together,
// by one of the two.
var refusedPairs = map[string]string{
	"save":           "connection timeout daemon stats rate thresholds persistent-conn tun-info exact nosort",
	"tcp-service":    "save connection timeout daemon udp-service sctp-service fwmark-service ipv6",
	"udp-service":    "save connection timeout daemon tcp-service sctp-service fwmark-service ipv6",
	"sctp-service":   "save connection timeout daemon tcp-service udp-service fwmark-service ipv6",
	"fwmark-service": "save connection timeout daemon tcp-service udp-service sctp-service",
	"connection":     "timeout daemon stats rate thresholds ipv6",
	"timeout":        "daemon stats rate thresholds persistent-conn ipv6",
	"daemon":         "stats rate thresholds persistent-conn ipv6",
	"ipv6":           "numeric save stats rate thresholds persistent-conn tun-info exact sort nosort",
}

// TestListConflicts refuses every pair of options that ipvsadm refuses, and no
// other.
func TestListConflicts(t *testing.T) {
	for first, firstArguments := range listArguments {
		for second, secondArguments := range listArguments {
			if first == second {
				continue
			}
			refused := slices.Contains(strings.Fields(refusedPairs[first]), second) ||
				slices.Contains(strings.Fields(refusedPairs[second]), first)
			command := newList()
			err := command.ParseFlags(strings.Fields(firstArguments + " " + secondArguments))
			if err == nil {
				err = refuseConflicts(command)
			}
			if (err != nil) != refused {
				t.Errorf("%s %s: error %v, want one: %v", firstArguments, secondArguments, err, refused)
			}
		}
	}
}

// parseList reads the options of list and does nothing.
func parseList(t *testing.T, arguments string) (*listing, *cobra.Command) {
	t.Helper()
	var l listing
	command := l.command()
	command.SetContext(t.Context())
	if err := command.ParseFlags(strings.Fields(arguments)); err != nil {
		t.Fatal(err)
	}
	return &l, command
}

func TestListUsage(t *testing.T) {
	for arguments, want := range map[string]string{
		"list -c --stats":                      "--connection and --stats exclude each other",
		"list -6":                              "--ipv6 needs --fwmark-service",
		"list -t 192.0.2.1:80 -u 192.0.2.1:53": "only one service can be selected, and --tcp-service did",
		"list -t 192.0.2.1:70000":              `--tcp-service "192.0.2.1:70000": port "70000" is neither a number from 0 to 65535`,
		"list --sctp-service 192.0.2.1:http":   "the port of an SCTP service is a number",
		"list -t [2001:db8::1:80":              "want host:port, or [address]:port for IPv6",
		"list -f 0":                            "a firewall mark is a number from 1 to 4294967295",
		"list -f 4294967296":                   "a firewall mark is a number from 1 to 4294967295",
		"list -f 0x7":                          "a firewall mark is a number from 1 to 4294967295",
		"list table":                           "takes no arguments",
	} {
		code, stdout, stderr := lvsd(t, strings.Fields(arguments)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, %q, %q; want %d and %q", arguments, code, stdout, stderr, exitUsage, want)
		}
	}
}

func TestListSelectsService(t *testing.T) {
	v4 := func(p ipvs.Protocol, address string) ipvs.ServiceKey {
		return ipvs.ServiceKey{Family: ipvs.IPv4, Protocol: p, Address: netip.MustParseAddrPort(address)}
	}
	v6 := func(p ipvs.Protocol, address string) ipvs.ServiceKey {
		k := v4(p, address)
		k.Family = ipvs.IPv6
		return k
	}
	for arguments, want := range map[string]ipvs.ServiceKey{
		"":                              {},
		"-t 192.0.2.1:80":               v4(ipvs.TCP, "192.0.2.1:80"),
		"--tcp-service 192.0.2.1:http":  v4(ipvs.TCP, "192.0.2.1:80"),
		"-u 192.0.2.1":                  v4(ipvs.UDP, "192.0.2.1:0"),
		"-u localhost:domain":           v4(ipvs.UDP, "127.0.0.1:53"),
		"--sctp-service 192.0.2.1:3868": v4(ipvs.SCTP, "192.0.2.1:3868"),
		"-t [2001:db8::1]:80":           v6(ipvs.TCP, "[2001:db8::1]:80"),
		"-t [2001:db8::1]":              v6(ipvs.TCP, "[2001:db8::1]:0"),
		"-t 2001:db8::1":                v6(ipvs.TCP, "[2001:db8::1]:0"),
		"-f 4294967295":                 {Family: ipvs.IPv4, Mark: 4294967295},
		"-6 -f 077":                     {Family: ipvs.IPv6, Mark: 77},
	} {
		l, command := parseList(t, arguments)
		key, selected, err := l.service.key(command.Context())
		if err != nil || selected != (arguments != "") || key != want {
			t.Errorf("%q selects %v, %v, error %v; want %v", arguments, key, selected, err, want)
		}
	}
}

func TestListColumns(t *testing.T) {
	for arguments, want := range map[string]ipvsadm.Columns{
		"":                               ipvsadm.Connections,
		"--rate --stats":                 ipvsadm.Stats,
		"--thresholds --rate":            ipvsadm.Rate,
		"--persistent-conn --thresholds": ipvsadm.Thresholds,
		"--tun-info --persistent-conn":   ipvsadm.Persistent,
		"--tun-info":                     ipvsadm.Tunnel,
		"-c --persistent-conn":           ipvsadm.Persistent,
		"-c --tun-info --nosort -X":      ipvsadm.Tunnel,
	} {
		if l, _ := parseList(t, arguments); l.columns() != want {
			t.Errorf("%q: columns %d, want %d", arguments, l.columns(), want)
		}
	}
}
