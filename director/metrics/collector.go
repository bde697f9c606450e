package metrics

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lvsd/lvsd/director"
)

// trafficTimeout bounds how long the counters are waited for; what else there is is
// told without them.
const trafficTimeout = 10 * time.Second

// collector makes metrics of a Source whenever Prometheus asks.
type collector struct {
	source Source
	log    *slog.Logger

	daemon    *subject[*director.Status]
	reading   *subject[error]
	overrides *subject[*director.Override]
	hosts     *subject[*director.HostStatus]
	daemons   *subject[*director.DaemonStatus]
	conflicts *subject[int]
	nodes     *subject[node]
	instances *subject[*director.InstanceStatus]
	vips      *subject[*director.VIPStatus]
	groups    *subject[*director.GroupStatus]
	trackers  *subject[*director.TrackerStatus]
	services  *subject[*director.ServiceStatus]
	servers   *subject[server]
	checks    *subject[*director.CheckStatus]
	// serviceTraffic and serverTraffic are of the kernel's counters.
	serviceTraffic *subject[*director.ServiceTraffic]
	serverTraffic  *subject[*director.ServerTraffic]
	// keepalived is nil unless its names are wanted.
	keepalived *keepalived
}

func newCollector(source Source, keepalivedNames bool, log *slog.Logger) *collector {
	c := &collector{
		source: source, log: log,
		daemon: daemonMetrics(), reading: readingMetrics(), overrides: overrideMetrics(), hosts: hostMetrics(),
		daemons: syncMetrics(), conflicts: conflictMetrics(), nodes: nodeMetrics(),
		instances: instanceMetrics(), vips: vipMetrics(), groups: groupMetrics(), trackers: trackerMetrics(),
		services: serviceMetrics(), servers: serverMetrics(), checks: checkMetrics(),
		serviceTraffic: serviceTrafficMetrics(), serverTraffic: serverTrafficMetrics(),
	}
	if keepalivedNames {
		c.keepalived = newKeepalived()
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, s := range []interface{ describe(chan<- *prometheus.Desc) }{
		c.daemon, c.reading, c.overrides, c.hosts, c.daemons, c.conflicts, c.nodes, c.instances, c.vips, c.groups,
		c.trackers, c.services, c.servers, c.checks, c.serviceTraffic, c.serverTraffic,
	} {
		s.describe(to)
	}
	if c.keepalived != nil {
		c.keepalived.describe(to)
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	status := c.source.Status()
	c.tellDaemon(to, &status)
	c.tellElection(to, &status)
	c.tellServices(to, status.Services)
	c.tellTraffic(to)
	if c.keepalived != nil {
		c.keepalived.tell(to, &status)
	}
}

func (c *collector) tellDaemon(to chan<- prometheus.Metric, status *director.Status) {
	c.daemon.tell(to, status, nil)
	overrides := distinct{}
	for i := range status.Overrides {
		o := &status.Overrides[i]
		c.overrides.tell(to, o, overrides.of(o.Target.Service, o.Target.Server, o.Target.Node))
	}
	hosts := distinct{}
	for i := range status.Hosts {
		c.hosts.tell(to, &status.Hosts[i], hosts.of(status.Hosts[i].Host))
	}
	daemons := distinct{}
	for i := range status.Daemons {
		daemon := &status.Daemons[i]
		c.daemons.tell(to, daemon, daemons.of(daemon.State, daemon.Interface, strconv.Itoa(daemon.ID)))
	}
	conflicts := distinct{}
	for at, count := range standingConflicts(status.Conflicts) {
		c.conflicts.tell(to, count, conflicts.of(at.vip, at.ifname))
	}
	nodes := distinct{}
	for i := range status.Nodes {
		n := &status.Nodes[i]
		c.nodes.tell(to, node{n, status.ConfigHash}, nodes.of(n.Name))
	}
}

func (c *collector) tellElection(to chan<- prometheus.Metric, status *director.Status) {
	instances, vips := distinct{}, distinct{}
	for i := range status.Instances {
		instance := &status.Instances[i]
		labels := instances.of(strconv.Itoa(instance.VRID), instance.Interface, instance.Name)
		c.instances.tell(to, instance, labels)
		for j := range instance.VIPs {
			vip := &instance.VIPs[j]
			c.vips.tell(to, vip, vips.of(instance.Name, vip.Address))
		}
	}
	groups := distinct{}
	for i := range status.Groups {
		c.groups.tell(to, &status.Groups[i], groups.of(status.Groups[i].Name))
	}
	trackers := distinct{}
	for i := range status.Trackers {
		tracker := &status.Trackers[i]
		c.trackers.tell(to, tracker, trackers.of(tracker.Kind, tracker.Name))
	}
}

func (c *collector) tellServices(to chan<- prometheus.Metric, services []director.ServiceStatus) {
	places := distinct{}
	for i := range services {
		service := &services[i]
		place := places.of(service.Name, service.Service)
		c.services.tell(to, service, place)
		addresses := distinct{}
		for j := range service.RealServers {
			s := server{service, &service.RealServers[j]}
			address := slices.Concat(place, addresses.of(s.label()))
			c.servers.tell(to, s, address)
			kinds := distinct{}
			for k := range s.Checks {
				check := &s.Checks[k]
				c.checks.tell(to, check, slices.Concat(address, kinds.of(check.Kind, check.Target)))
			}
		}
	}
}

func (c *collector) tellTraffic(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), trafficTimeout)
	defer cancel()
	traffic, err := c.source.Traffic(ctx)
	c.reading.tell(to, err, nil)
	if err != nil {
		c.log.Warn("the kernel's counters are not told", "err", err)
		return
	}
	places := distinct{}
	for i := range traffic.Services {
		service := &traffic.Services[i]
		place := places.of(service.Name, virtualOf(service))
		c.serviceTraffic.tell(to, service, place)
		addresses := distinct{}
		for j := range service.Servers {
			s := &service.Servers[j]
			c.serverTraffic.tell(to, s, slices.Concat(place, addresses.of(s.Address)))
		}
	}
}
