package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// keepalived is what lvsd is to replace; its value is the program.
type keepalived string

func (keepalived) Name() string      { return "keepalived" }
func (k keepalived) Program() string { return string(k) }

// Command runs it in the foreground, its log on standard error alone. It takes the
// pid files of a killed one for a daemon that runs.
func (keepalived) Command(n *Node) lab.Command {
	stale, _ := filepath.Glob(filepath.Join(n.Dir, "*.pid")) // the pattern is sound
	for _, file := range stale {
		_ = os.Remove(file)
	}
	return lab.Command{Name: "keepalived", Args: []string{
		n.Program, "-n", "-l", "-G", "-f", n.File,
		"-p", filepath.Join(n.Dir, "keepalived.pid"), "-r", filepath.Join(n.Dir, "vrrp.pid"),
		"-c", filepath.Join(n.Dir, "checkers.pid"),
	}}
}

func (k keepalived) Text(n *Node, c Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global_defs {\n router_id %s\n vrrp_version %d\n script_user root\n enable_script_security\n lvs_sync_daemon %s VI_1 id %d\n}\n",
		n.Name, c.Version, lab.LinkName, vrid)
	if c.Tracker != "" {
		fmt.Fprintf(&b, "vrrp_script script {\n script %s\n interval %g\n timeout %g\n fall 2\n}\n",
			c.Tracker, c.CheckInterval.Seconds(), c.checkTimeout().Seconds())
	}
	fmt.Fprintf(&b, "vrrp_instance VI_1 {\n state BACKUP\n interface %s\n virtual_router_id %d\n priority %d\n advert_int %g\n",
		lab.LinkName, vrid, priorities[n.index], c.Interval.Seconds())
	if c.Unicast {
		fmt.Fprintf(&b, " unicast_src_ip %s\n unicast_peer {\n  %s\n }\n", n.Address, strings.Join(n.peers(), "\n  "))
	}
	if c.Topology == Relay {
		k.redirects(&b, n)
	}
	if c.Notify != "" {
		fmt.Fprintf(&b, " notify %s\n", c.Notify)
	}
	if c.Tracker != "" {
		b.WriteString(" track_script {\n  script\n }\n")
	}
	fmt.Fprintf(&b, " virtual_ipaddress {\n  %s\n }\n}\n", vip)
	service := func(port int, servers []string) {
		fmt.Fprintf(&b, "virtual_server %s %d {\n delay_loop %g\n lvs_sched rr\n lvs_method DR\n protocol TCP\n", vip, port, c.CheckInterval.Seconds())
		for _, server := range servers {
			address, port, _ := strings.Cut(server, ":")
			check := "TCP_CHECK {"
			if c.HTTP {
				check = "HTTP_GET {\n   url {\n    path /\n    status_code 200\n   }"
			}
			fmt.Fprintf(&b, " real_server %s %s {\n  weight 1\n  %s\n   retry 1\n   delay_before_retry %g\n   connect_timeout %g\n  }\n }\n",
				address, port, check, c.CheckInterval.Seconds(), c.checkTimeout().Seconds())
		}
		b.WriteString("}\n")
	}
	service(servicePort, n.Site.serverAddresses())
	service(idlePort, idleServers(c.Servers))
	return b.String()
}

// redirects has the rule of a BACKUP from scripts, as it is done in the field.
func (k keepalived) redirects(b *strings.Builder, n *Node) {
	rule := fmt.Sprintf("PREROUTING -d %s/32 -p tcp -m tcp --dport %d -j REDIRECT", vip, servicePort)
	add := fmt.Sprintf("iptables -t nat -C %s 2>/dev/null || iptables -t nat -I %s", rule, rule)
	remove := fmt.Sprintf("while iptables -t nat -D %s 2>/dev/null; do :; done", rule)
	for role, what := range map[string]string{"master": remove, "backup": add, "fault": add} {
		path := filepath.Join(filepath.Dir(n.Dir), role+".sh")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+what+"\n"), 0o700); err != nil {
			n.Site.Fatalf("script: %v", err)
		}
		fmt.Fprintf(b, " notify_%s %s\n", role, path)
	}
}

// reloadPatience is how long keepalived may take. There are files after which it
// neither ends nor says anything more.
const reloadPatience = 10 * time.Second

// Reload waits until the parent says that both children have done it. An invalid file
// may end keepalived.
func (keepalived) Reload(n *Node) error {
	if n.Daemon == nil || !n.Daemon.Running() {
		return errEnded
	}
	mark := n.Mark()
	if err := syscall.Kill(n.Daemon.PID(), syscall.SIGHUP); err != nil {
		return err
	}
	ended := false
	err := n.Site.awaitWithin(reloadPatience, "keepalived to reload", func() error {
		if ended = !n.Daemon.Running(); ended {
			return nil
		}
		if !strings.Contains(n.Log(mark), "Reload complete") {
			return errors.New("it has not said that it has")
		}
		return nil
	})
	if ended {
		return errEnded
	}
	return err
}

var errEnded = errors.New("keepalived has ended")

func (keepalived) Restart(n *Node) { n.Stop() }

func (keepalived) Role(n *Node) string {
	if n.Daemon == nil || !n.Daemon.Running() {
		return ""
	}
	return n.lastRole()
}

// Settled is an error while not all of its processes run.
func (k keepalived) Settled(n *Node) error {
	const parentAndChildren = 3
	if running := len(k.Processes(n)); running < parentAndChildren {
		return fmt.Errorf("%d processes run", running)
	}
	return nil
}

func (keepalived) Processes(n *Node) []int       { return processTree(n.Daemon.PID()) }
func (keepalived) Goroutines(*Node) (int, error) { return 0, nil }
