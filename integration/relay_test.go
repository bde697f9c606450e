package integration

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/integration/relay"
)

var example = filepath.Join("..", "examples", "mail-relay", "lvsd.toml")

func newCluster(t *testing.T, relays int) *relay.Cluster {
	t.Helper()
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS, lab.NeedPostfix)
	c := relay.New(t, relay.Options{Relays: relays, Example: example})
	c.StartAll()
	c.WaitAllUp()
	return c
}

// load starts short sessions and connections that stay, through the VIP.
func load(c *relay.Cluster, held int) *lab.Client {
	return c.Client.StartSMTP(lab.SMTPLoad{
		Target: relay.Service, Rate: 20, Workers: 8, Held: held, HoldInterval: 500 * time.Millisecond,
	})
}

// TestRelayServesThroughEveryNode: four identical files elect one MASTER, and
// every relay serves through the VIP.
func TestRelayServesThroughEveryNode(t *testing.T) {
	c := newCluster(t, 4)
	client := load(c, 0)
	c.Lab.WaitFor("sessions on every relay", func() error { return spread(client.Summary(), 4, 5) })
	if summary := client.Stop(); summary.Failures > 0 {
		t.Errorf("with nothing wrong: %s", summary)
	} else {
		t.Log(summary)
	}
}

// TestRelayFailsOver: the MASTER is killed; another one takes over, and serves.
func TestRelayFailsOver(t *testing.T) {
	c := newCluster(t, 4)
	client := load(c, 0)
	c.Lab.WaitFor("sessions on every relay", func() error { return spread(client.Summary(), 4, 5) })
	old := c.Master()
	old.LVSD.Signal(syscall.SIGKILL)
	<-old.LVSD.Done()
	old.SetCable(false) // the node is dead, not only its lvsd
	c.WaitSettled()
	t.Logf("%s took over from %s", c.Master().Name, old.Name)
	sessions := client.Summary().Sessions
	c.Lab.WaitFor("sessions after the failover", func() error { return more(client.Summary(), sessions, 50) })
	t.Log(client.Stop())
}
