package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/integration/relay"
	"github.com/lvsd/lvsd/vrrp"
)

const (
	relays = 4
	// each is how many deliveries a relay must take to be seen at work.
	each = 5
	// shownDeliveries is how many are listed one by one.
	shownDeliveries = 24
)

// A demo is the cluster on the stage and what the steps leave to later ones.
type demo struct {
	*stage
	*screen
	example string

	cluster *relay.Cluster
	client  *lab.Client
	// patience bounds each reply that the client waits for.
	patience time.Duration
	// killed is the first MASTER, killedAt when it was cut off, expelledAt when
	// the next MASTER had taken it out of rotation.
	killed               *relay.Relay
	killedAt, expelledAt time.Time
	// stopped is the relay whose Postfix is stopped.
	stopped *relay.Relay
}

func newDemo(st *stage, s *screen, example string) *demo {
	return &demo{stage: st, screen: s, example: example}
}

func (d *demo) steps() []step {
	return []step{
		{"four relays", "a Postfix of its own on each; lvsd finds the file valid", d.setUp, true},
		{"who is MASTER", "one MASTER with the VIP, three BACKUPs with the REDIRECT rule", d.elect, true},
		{"lvsd list", "four real servers, weight 1; the same bytes as ipvsadm -L -n", d.list, false},
		{"deliveries", "every relay takes mail through the VIP; no failure", d.deliver, false},
		{"MASTER killed", "a BACKUP takes over the VIP; clients are served again", d.kill, false},
		{"dead relay leaves", "its weight goes to 0", d.expel, false},
		{"deliveries go on", "the other three take the mail; no failure", d.goOn, false},
		{"old MASTER back", "it is BACKUP, without the VIP, and takes mail; no failure", d.comeBack, false},
		{"one Postfix stopped", "its weight goes to 0; no failure after that", d.stopPostfix, false},
		{"Postfix started", "its weight goes back to 1, it takes mail; no failure", d.startPostfix, false},
		{"the mail", "what the relays accepted is in their mailboxes", d.count, false},
	}
}

// show runs a command line in the relay and prints both it and its output.
func (d *demo) show(r *relay.Relay, command string) {
	d.command(r.Name, command, output(r, command))
}

// output runs a command line in the relay.
func output(r *relay.Relay, command string) string {
	words := strings.Fields(command)
	if words[0] == "lvsd" {
		words[0] = os.Getenv(relay.BinaryVariable)
	}
	return r.Run(words[0], words[1:]...)
}

func (d *demo) setUp() string {
	d.say("Four relays and a client in network namespaces on one switch, and a real Postfix on each relay.")
	lab.Require(d, lab.NeedNetns, lab.NeedIPVS, lab.NeedPostfix)
	d.cluster = relay.New(d, relay.Options{Relays: relays, Example: d.example})
	d.slowChecks()
	rows := [][]string{{"HOST", "ADDRESS", "POSTFIX", "QUEUE"}}
	queues := map[string]bool{}
	for _, r := range d.cluster.Relays {
		etc := d.cluster.Lab.Dir(r.Name, "postfix", "etc")
		queue := strings.TrimSpace(r.Run("postconf", "-c", etc, "-h", "queue_directory"))
		queues[queue] = true
		rows = append(rows, []string{r.Name, r.Address.String(), fmt.Sprintf("pid %d", r.Postfix.PID()), queue})
		// The commands below find lvsd where they would on a machine of its own.
		r.Run("ln", "-s", d.cluster.Lab.Dir(r.Name, "run"), "/run/lvsd")
	}
	d.table(append(rows, []string{d.cluster.Client.Name, d.cluster.Client.Address.String(), "", ""}))
	if len(queues) != relays {
		d.Fatalf("%d queues, want %d", len(queues), relays)
	}
	d.say("Every relay will read the same file. The VIP in it is %s.", relay.Service.Addr())
	d.show(d.cluster.Relays[0], "lvsd check -c "+d.cluster.Config)
	return fmt.Sprintf("%d Postfixes greet, %d queues, the file is valid", relays, len(queues))
}

// slowChecks lets the checks follow the adverts, which the cluster makes fit the
// speed of the machine: sixteen checks in two seconds, and the mail besides, are
// too much for a slow one.
func (d *demo) slowChecks() {
	const written = "\n  interval = \"2s\"\n  timeout = \"5s\"\n"
	text := d.cluster.Text()
	if !strings.Contains(text, written) {
		d.Fatalf("%s does not have the check's interval and timeout as expected", d.example)
	}
	interval := max(2*time.Second, d.cluster.Interval/2)
	d.cluster.Configure(strings.Replace(text, written,
		fmt.Sprintf("\n  interval = %q\n  timeout = %q\n", interval, interval*5/2), 1))
}

func (d *demo) elect() string {
	d.say("lvsd starts on every relay. Nobody is MASTER until Master_Down_Interval has passed in silence.")
	d.cluster.StartAll()
	d.cluster.WaitAllUp()
	return d.roles()
}

// roles shows who is MASTER, and what that means in the kernels.
func (d *demo) roles() string {
	rows := [][]string{{"HOST", "LVSD SAYS", "HOLDS THE VIP", "REDIRECT RULE"}}
	var backup *relay.Relay
	for _, r := range d.cluster.Relays {
		state := r.State()
		rows = append(rows, []string{r.Name, strings.ToUpper(state), yesNo(r.HoldsVIP()), yesNo(r.HasRule())})
		if state == "backup" {
			backup = r
		}
	}
	d.table(rows)
	master := d.cluster.Master()
	d.show(master, "ip -4 -brief address show dev eth0")
	d.show(master, "lvsd status")
	if backup == nil {
		d.Fatalf("no relay is BACKUP")
	}
	d.show(backup, "iptables -t nat -S PREROUTING")
	return master.Name + " is MASTER, the others are BACKUP"
}

func (d *demo) list() string {
	const command = "lvsd list -n"
	master := d.cluster.Master()
	var have string
	d.cluster.Lab.WaitFor("the table to be right", func() error {
		have = output(master, command)
		// Between the two a check may change the table: then they are run again.
		if want := output(master, "ipvsadm -L -n"); have != want {
			return fmt.Errorf("lvsd prints\n%s\nipvsadm prints\n%s", have, want)
		}
		for _, r := range d.cluster.Relays {
			if weight, err := master.Weight(r); err != nil || weight != 1 {
				return fmt.Errorf("weight of %s is %d, error %v", r.Name, weight, err)
			}
		}
		return nil
	})
	d.command(master.Name, command, have)
	return fmt.Sprintf("%d real servers, weight 1; the same bytes", relays)
}

func (d *demo) deliver() string {
	begin := time.Now()
	d.startLoad()
	d.say("The client delivers messages to %s, from now on until the end.", relay.Service)
	d.awaitDeliveries(begin, d.cluster.Relays...)
	var taken []string
	for i, e := range d.client.Events() {
		if i < shownDeliveries && e.Error == "" {
			taken = append(taken, fmt.Sprintf("%d:%s", i+1, e.Relay))
		}
	}
	d.say("The first ones were taken by\n%s ...", strings.Join(taken, "  "))
	return d.flawless(begin)
}

func (d *demo) kill() string {
	d.killed = d.cluster.Master()
	d.say("lvsd on %s, pid %d, gets SIGKILL, and the cable is pulled: the node is dead, not only its lvsd. "+
		"(A lvsd that is killed alone leaves a kernel that goes on serving.)", d.killed.Name, d.killed.LVSD.PID())
	d.killed.LVSD.Kill()
	d.killed.SetCable(false)
	d.killedAt = time.Now()
	d.cluster.WaitSettled()
	master := d.cluster.Master()
	var gap time.Duration
	d.cluster.Lab.WaitFor("a delivery after the kill", func() (err error) {
		gap, err = outage(d.client.Events(), d.killedAt)
		return err
	})
	d.show(master, "ip -4 -brief address show dev eth0")
	d.show(master, "lvsd status")
	status, err := master.Status()
	if err != nil {
		d.Fatalf("%s: %v", master.Name, err)
	}
	i := status.Instances[0]
	down := vrrp.Version(i.Version).MasterDownInterval(uint8(i.Priority), i.Interval)
	d.say("Nothing was delivered for %s. Master_Down_Interval, after which a BACKUP takes over, is %s here, counted "+
		"from the last advert: three adverts, %s apart, and the skew of priority %d.",
		seconds(gap), seconds(down), i.Interval, i.Priority)
	return fmt.Sprintf("%s took over; no delivery for %s (Master_Down_Interval %s)", master.Name, seconds(gap), seconds(down))
}

func (d *demo) expel() string {
	if d.killed == nil {
		d.Fatalf("no MASTER was killed")
	}
	master := d.cluster.Master()
	d.say("The dead relay is a real server too: until its check has failed often enough, the connections " +
		"scheduled to it are lost.")
	d.cluster.WaitWeight(master, d.killed, 0)
	d.expelledAt = time.Now()
	d.show(master, "lvsd list -n")
	d.say("The client gives up sessions that hang after %s. Waiting for those begun until now.", seconds(d.patience))
	d.cluster.Lab.WaitFor("the last sessions to fail", func() error {
		if rest := d.patience - time.Since(d.expelledAt); rest > 0 {
			return fmt.Errorf("they may take %v more", rest)
		}
		return nil
	})
	n := failures(d.client.Events(), d.killedAt, d.expelledAt)
	return fmt.Sprintf("weight 0 within %s of the kill; %v", seconds(d.expelledAt.Sub(d.killedAt)), n)
}

func (d *demo) goOn() string {
	if d.expelledAt.IsZero() {
		d.Fatalf("the dead relay is still in rotation")
	}
	d.awaitDeliveries(d.expelledAt, d.running()...)
	return d.flawless(d.expelledAt)
}

func (d *demo) comeBack() string {
	if d.killed == nil {
		d.Fatalf("no MASTER was killed")
	}
	begin, master := time.Now(), d.cluster.Master()
	d.say("%s comes back. lvsd starts before the cable is in, finds the VIP that the killed one left, and drops it. "+
		"With preempt = false the new MASTER stays.", d.killed.Name)
	d.killed.StartLVSD()
	d.cluster.Lab.WaitFor("the VIP to be gone", func() error {
		if d.killed.HoldsVIP() {
			return fmt.Errorf("%s holds it", d.killed.Name)
		}
		return nil
	})
	d.killed.SetCable(true)
	d.cluster.WaitSettled()
	d.cluster.WaitWeight(master, d.killed, 1)
	d.awaitDeliveries(time.Now(), d.killed)
	d.show(d.killed, "ip -4 -brief address show dev eth0")
	d.show(d.killed, "iptables -t nat -S PREROUTING")
	d.show(d.killed, "lvsd status")
	if now := d.cluster.Master(); now != master {
		d.Fatalf("%s is MASTER, it was %s", now.Name, master.Name)
	}
	return fmt.Sprintf("%s is BACKUP, %s stays MASTER; %s", d.killed.Name, master.Name, d.flawless(begin))
}

func (d *demo) stopPostfix() string {
	master, begin := d.cluster.Master(), time.Now()
	i := slices.IndexFunc(d.cluster.Relays, func(r *relay.Relay) bool { return r != master && r != d.killed })
	d.stopped = d.cluster.Relays[i]
	d.say("Postfix on %s is stopped; its lvsd runs on. %s, the MASTER, must notice.", d.stopped.Name, master.Name)
	_ = d.stopped.Postfix.Stop() // it ends by passing its own SIGTERM on to its whole group
	d.cluster.WaitWeight(master, d.stopped, 0)
	out := time.Now()
	d.show(master, "lvsd status")
	d.awaitDeliveries(out, d.running()...)
	d.flawless(out)
	n := failures(d.client.Events(), begin, out)
	return fmt.Sprintf("%s: weight 0 after %s; %v; none after", d.stopped.Name, seconds(out.Sub(begin)), n)
}

func (d *demo) startPostfix() string {
	if d.stopped == nil {
		d.Fatalf("no Postfix was stopped")
	}
	begin := time.Now()
	d.stopped.Postfix.Start()
	master := d.cluster.Master()
	d.cluster.WaitWeight(master, d.stopped, 1)
	back := time.Now()
	d.awaitDeliveries(back, d.stopped)
	d.show(master, "lvsd list -n")
	return fmt.Sprintf("%s: weight 1 after %s; %s", d.stopped.Name, seconds(back.Sub(begin)), d.flawless(begin))
}

// count compares what the relays accepted with what is in their mailboxes. A
// mailbox may have more: a relay's answer may have been lost on its way.
func (d *demo) count() string {
	d.say("The client stops.")
	summary := d.client.Stop()
	accepted := accepted(d.client.Events())
	d.cluster.Lab.WaitFor("the mail to be delivered", func() error {
		for _, r := range d.cluster.Relays {
			if n := r.Postfix.Delivered(); n < accepted[r.Name] {
				return fmt.Errorf("%s: %d messages in the mailbox, %d accepted", r.Name, n, accepted[r.Name])
			}
		}
		return nil
	})
	rows, sum, total := [][]string{{"HOST", "ACCEPTED", "IN THE MAILBOX"}}, 0, 0
	for _, r := range d.cluster.Relays {
		delivered := r.Postfix.Delivered()
		sum, total = sum+accepted[r.Name], total+delivered
		rows = append(rows, []string{r.Name, fmt.Sprint(accepted[r.Name]), fmt.Sprint(delivered)})
	}
	d.table(rows)
	return fmt.Sprintf("%d sessions, %d failed, the slowest took %s; %d messages accepted, %d in mailboxes",
		summary.Sessions, summary.Failures, seconds(summary.Slowest), sum, total)
}

// running are the relays whose lvsd and Postfix run.
func (d *demo) running() []*relay.Relay {
	return slices.DeleteFunc(slices.Clone(d.cluster.Relays), func(r *relay.Relay) bool {
		return !r.LVSD.Running() || !r.Postfix.Running()
	})
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// seconds is a duration for people.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
