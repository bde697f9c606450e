package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// saveTimeout bounds one run of iptables-save.
const saveTimeout = 10 * time.Second

// firewall reads the rules of both backends. The commands only read.
func (g *gathering) firewall(ctx context.Context) {
	if os.Geteuid() != 0 {
		g.unchecked("firewall rules", errors.New("iptables-save works for root only"))
		return
	}
	version, err := output(ctx, "iptables", "--version")
	if err != nil {
		g.unchecked("firewall rules", err)
		return
	}
	g.facts.NFTables = strings.Contains(version, "nf_tables")
	for _, ipv6 := range []bool{false, true} {
		for _, legacy := range []bool{false, true} {
			if legacy && !hasLegacyTables(ipv6) {
				continue
			}
			name := backend(legacy, ipv6) + "-save"
			text, err := output(ctx, name)
			if errors.Is(err, exec.ErrNotFound) && legacy != g.facts.NFTables {
				name = command(g.facts.NFTables, legacy, ipv6) + "-save"
				text, err = output(ctx, name)
			}
			if errors.Is(err, exec.ErrNotFound) {
				continue // a backend without its command has no rules of iptables
			}
			if err != nil {
				g.unchecked("firewall rules", err)
				continue
			}
			rules := ParseRuleset(text)
			rules.Legacy, rules.IPv6 = legacy, ipv6
			g.facts.Rulesets = append(g.facts.Rulesets, rules)
			if strings.Contains(text, "use 'nft' tool") {
				g.unchecked("firewall rules of nft", fmt.Errorf("%s does not show them all", name))
			}
		}
	}
}

// hasLegacyTables reports whether the kernel has tables of x_tables: to read what
// it has not would load the module.
func hasLegacyTables(ipv6 bool) bool {
	path := "/proc/net/ip_tables_names"
	if ipv6 {
		path = "/proc/net/ip6_tables_names"
	}
	names, err := os.ReadFile(path)
	return err == nil && len(bytes.TrimSpace(names)) > 0
}

// output runs a program that may be where only root looks.
func output(ctx context.Context, name string, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if err != nil {
			path, err = exec.LookPath(dir + name)
		}
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
	}
	var stderr bytes.Buffer
	run := exec.CommandContext(ctx, path, arguments...)
	run.Stderr = &stderr
	out, err := run.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
