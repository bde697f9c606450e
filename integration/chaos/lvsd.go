package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
	"github.com/lvsd/lvsd/integration/lab"
)

const lvsdName = "lvsd"

// lvsd is the contestant that the run is about; its value is the program.
type lvsd string

func (lvsd) Name() string      { return lvsdName }
func (l lvsd) Program() string { return string(l) }

func (lvsd) Command(n *Node) lab.Command {
	return lab.Command{Name: lvsdName, Args: []string{
		n.Program, "run", "-c", n.File, "--run-dir", n.Dir, "--state-dir", n.Dir,
	}}
}

func (lvsd) Text(n *Node, c Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[global]\n%s\n", c.Global)
	fmt.Fprintf(&b, "[sync]\n")
	fmt.Fprintf(&b, "\n[[vrrp]]\nname = \"VI_1\"\ninterface = %q\nvrid = %d\nversion = %d\npriority = %d\nadvert_interval = %q\nvips = [%q]\n",
		lab.LinkName, vrid, c.Version, priorities[n.index], c.Interval, vip)
	if c.Topology == Relay {
		b.WriteString("serve_on_backup = true\nkeep_connections = true\n")
	}
	if c.Unicast {
		fmt.Fprintf(&b, "source = %q\npeers = [%s]\n", n.Address, quoted(n.peers()))
	}
	if c.Tracker != "" {
		b.WriteString("track = [\"script\"]\n")
	}
	fmt.Fprintln(&b, c.VRRP)
	if c.Key != "" {
		fmt.Fprintf(&b, "[vrrp.auth]\ntype = \"hmac-sha256\"\nkeys = [{ id = 1, secret = %q }]\n", c.Key)
	}
	if c.Notify != "" {
		fmt.Fprintf(&b, "[vrrp.notify]\nany = [%q]\n", c.Notify)
	}
	service := func(port int, servers []string) {
		fmt.Fprintf(&b, "\n[[virtual_service]]\naddress = \"%s:%d\"\nprotocol = \"tcp\"\nscheduler = \"rr\"\nforwarding = \"dr\"\n%s\n", vip, port, c.ServiceLines)
		fmt.Fprintf(&b, "check = { %s }\n", checkKeys(c))
		for _, server := range servers {
			fmt.Fprintf(&b, "  [[virtual_service.real_server]]\n  address = %q\n", server)
		}
	}
	service(servicePort, n.Site.serverAddresses())
	service(idlePort, idleServers(c.Servers))
	if c.Tracker != "" {
		fmt.Fprintf(&b, "\n[[tracker]]\nname = \"script\"\ntype = \"script\"\ncommand = [%q]\ninterval = %q\ntimeout = %q\nfall = 2\n",
			c.Tracker, c.CheckInterval, c.checkTimeout())
	}
	fmt.Fprintln(&b, c.More)
	return b.String()
}

// checkKeys are those of every check.
func checkKeys(c Config) string {
	kind := "tcp"
	if c.HTTP {
		kind = "http"
	}
	keys := fmt.Sprintf("type = %q, interval = %q, timeout = %q, fall = 2, rise = 1", kind, c.CheckInterval, c.checkTimeout())
	if c.CheckKeys != "" {
		keys += ", " + c.CheckKeys
	}
	return keys
}

func (lvsd) Reload(n *Node) error {
	ctx, cancel := n.Site.callContext()
	defer cancel()
	_, err := control.Reload(ctx, n.socket(), control.ReloadRequest{})
	return err
}

// Restart is a hand-over.
func (lvsd) Restart(n *Node) {
	if n.Daemon == nil {
		return
	}
	// It may have been stopped by another fault, or have ended.
	n.Signal(syscall.SIGCONT)
	_ = syscall.Kill(n.Daemon.PID(), syscall.SIGUSR2)
	<-n.Daemon.Done()
}

func (l lvsd) Role(n *Node) string {
	i, err := l.instance(n)
	if err != nil {
		return ""
	}
	return strings.ToUpper(i.State)
}

func (l lvsd) Settled(n *Node) error {
	status, err := l.status(n)
	switch {
	case err != nil:
		return err
	case !status.Ready:
		return errors.New("not every check has answered")
	case status.Reconcile.Error != "":
		return errors.New(status.Reconcile.Error)
	case len(status.Instances) != 1:
		return fmt.Errorf("%d instances", len(status.Instances))
	}
	return nil
}

func (lvsd) Processes(n *Node) []int { return processTree(n.Daemon.PID()) }

// Goroutines asks where Prometheus does.
func (lvsd) Goroutines(n *Node) (int, error) {
	ctx, cancel := n.Site.callContext()
	defer cancel()
	response, err := n.Get(ctx, "http://127.0.0.1:9466/metrics")
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	return goroutines(response.Body)
}

// goroutines reads the number among the metrics.
func goroutines(metrics io.Reader) (int, error) {
	lines := bufio.NewScanner(metrics)
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), "go_goroutines "); found {
			number, err := strconv.ParseFloat(value, 64)
			return int(number), err
		}
	}
	return 0, errors.Join(errors.New("the metrics have no go_goroutines"), lines.Err())
}

func (lvsd) status(n *Node) (director.Status, error) {
	ctx, cancel := n.Site.callContext()
	defer cancel()
	return control.Status(ctx, n.socket())
}

func (l lvsd) instance(n *Node) (director.InstanceStatus, error) {
	status, err := l.status(n)
	if err != nil {
		return director.InstanceStatus{}, err
	}
	if len(status.Instances) != 1 {
		return director.InstanceStatus{}, fmt.Errorf("%d instances", len(status.Instances))
	}
	return status.Instances[0], nil
}

func (n *Node) socket() string { return filepath.Join(n.Dir, "lvsd.sock") }

// callContext bounds one question to a daemon.
func (s *Site) callContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.Context(), s.Lab.Scaled(10*time.Second))
}

// checkTimeout is how long a check may take: a slow machine is no dead server.
func (c Config) checkTimeout() time.Duration { return max(3*time.Second, 3*c.Interval) }

func (s *Site) serverAddresses() []string {
	var all []string
	for _, server := range s.Servers {
		all = append(all, fmt.Sprintf("%s:%d", server.Address, servicePort))
	}
	return all
}

func idleServers(count int) []string {
	var all []string
	for i := range count {
		all = append(all, idleServer(i).String())
	}
	return all
}

// peers are the addresses of the other nodes. They are known once all are there.
func (n *Node) peers() []string {
	var all []string
	for _, other := range n.Site.Nodes {
		if other != n {
			all = append(all, other.Address.String())
		}
	}
	return all
}

func quoted(texts []string) string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = strconv.Quote(text)
	}
	return strings.Join(all, ", ")
}
