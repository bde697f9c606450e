package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/integration/lab"
)

// balanced is the system with a HAProxy in each site, which knows the servers of
// its own.
type balanced struct {
	*exchange
	proxies map[*exchangeSite]*lab.Daemon
	mail    *lab.Postfix
}

// TestExchangeHAProxy: lvsd keeps the VIP on a node whose HAProxy runs and reaches
// the service, by the files of the example, and tells of it by mail.
func TestExchangeHAProxy(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedNginx, lab.NeedHAProxy, lab.NeedPostfix)
	t.Parallel()
	b := &balanced{exchange: newExchange(t), proxies: map[*exchangeSite]*lab.Daemon{}}
	smtp := b.host("smtp")
	b.main.Plug(smtp, exchangeLink, "172.30.129.25/22")
	b.mail = smtp.StartPostfix()
	for _, site := range b.sites() {
		b.configure(site)
	}
	b.stage("each HAProxy has the servers of its site, and the first is MASTER", b.begin)
	b.serverEnds()
	b.proxyEnds()
	b.serviceFails()
	b.lineIsCut()
}

// mailTo is in the text of both files; Postfix delivers for its own domain only.
const mailTo = "admin@domain.com"

// configure writes the site's file, which asks for the process by a name that no
// other one of the machine has.
func (b *balanced) configure(site *exchangeSite) {
	b.Helper()
	n := site.director
	n.config = filepath.Join(b.lab.Dir(n.Name), "lvsd.toml")
	n.write(b.example("haproxy.toml", map[string]string{
		mailTo + "\"]\n":          "admin@" + lab.MailDomain + "\"]\ndigest = \"1s\"\nper_hour = 1000\n",
		"vrid = 101\n":            fmt.Sprintf("vrid = 101\nadvert_interval = %q\n", b.interval),
		"process = \"haproxy\"\n": fmt.Sprintf("process = %q\n", filepath.Base(b.program(site))),
		"  interval = \"2s\"\n":   fmt.Sprintf("  interval = \"500ms\"\n  timeout = %q\n", b.lab.Scaled(10*time.Second).Round(time.Second)),
	}))
}

// program is the site's copy of HAProxy. The kernel knows 15 bytes of a name.
func (b *balanced) program(site *exchangeSite) string {
	name := site.director.Name
	return filepath.Join(b.lab.Dir(name), fmt.Sprintf("hap-%s-%d", name, os.Getpid()))
}

// startProxy starts the site's HAProxy by the file of the example.
func (b *balanced) startProxy(site *exchangeSite) {
	b.Helper()
	replaced := map[string]string{
		mailTo: "admin@" + lab.MailDomain,
		// A check may take as long as inter to connect and shake hands.
		"inter 3s rise 2 fall 3": fmt.Sprintf("inter %d fastinter 500ms downinter 500ms rise 2 fall 3", b.lab.Scaled(3*time.Second).Milliseconds()),
		"timeout connect 5s":     fmt.Sprintf("timeout connect %d", b.lab.Scaled(5*time.Second).Milliseconds()),
		"timeout server 300s":    fmt.Sprintf("timeout server 300s\n    timeout check %d", b.lab.Scaled(10*time.Second).Milliseconds()),
	}
	if site == b.reserve {
		for i, server := range b.main.servers {
			replaced[server.Name+" "+server.Name+"."] = site.servers[i].Name + " " + site.servers[i].Name + "."
		}
	}
	text := b.example("haproxy.cfg", replaced)
	_, sections, _ := strings.Cut(text, "\ndefaults\n")
	file := filepath.Join(b.lab.Dir(site.director.Name), "haproxy.cfg")
	b.write(file, "global\n    log stderr format raw local0\n\ndefaults\n"+sections)
	b.proxies[site] = site.director.Start(lab.Command{Name: "haproxy", Args: []string{b.program(site), "-db", "-f", file}})
	b.lab.WaitFor("HAProxy of "+site.director.Name, func() error {
		if proxy := b.proxies[site]; !proxy.Running() {
			b.Fatalf("%s: %v: %s", proxy.Name, proxy.Err(), proxy.Output())
		}
		_, err := site.director.Try("curl", "--silent", "--insecure", "--max-time", "10", "https://127.0.0.1/")
		return err
	})
}

func (b *balanced) begin(t *testing.T) {
	for _, server := range b.servers() {
		server.WaitListening(443)
	}
	for _, site := range b.sites() {
		site.director.Run("cp", "/usr/sbin/haproxy", b.program(site))
		b.startProxy(site)
		site.director.start()
	}
	b.back(t)
}

// back waits until all is as it should be.
func (b *balanced) back(t *testing.T) {
	b.explained(b.main.director, "^101$")
	b.explained(b.reserve.director, "^100$")
	b.lab.WaitFor("lb1 to be the only MASTER", func() error {
		return errors.Join(b.isMaster(b.main, true), b.isMaster(b.reserve, false))
	})
	b.lab.WaitFor("HAProxy of lb1 to have both servers", func() error {
		said := b.proxies[b.main].Output()
		for _, server := range b.main.servers {
			line := "Server exchange/" + server.Name + " is "
			if strings.LastIndex(said, line+"DOWN") > strings.LastIndex(said, line+"UP") {
				return fmt.Errorf("%s is down: %s", server.Name, said)
			}
		}
		return nil
	})
	b.served(t)
	b.settle(b.main)
}

// served has clients ask that HAProxy has not seen before, half of whom each server
// of the main site answers, again and again the same. They go on asking.
func (b *balanced) served(t *testing.T) {
	t.Helper()
	const clients = 4
	want := map[string]int{"exch1": clients / 2, "exch2": clients / 2}
	for _, site := range b.sites() {
		site.client.halt()
		site.client.replace(clients)
		if diff := cmp.Diff(want, site.client.askAll(t)); diff != "" {
			t.Fatalf("clients by server (-want +got):\n%s", diff)
		}
		first := fmt.Sprint(site.client.home)
		if site.client.askAll(t); fmt.Sprint(site.client.home) != first {
			t.Fatalf("the servers were %s, are %v", first, site.client.home)
		}
	}
	for _, site := range b.sites() {
		site.client.begin()
	}
}

// mailed waits until a mail from the host has the words in a line.
func (b *balanced) mailed(words ...string) {
	b.Helper()
	b.lab.WaitFor(fmt.Sprintf("mail with %q", words), func() error {
		for line := range strings.Lines(b.mail.Mail()) {
			missing := false
			for _, word := range words {
				missing = missing || !strings.Contains(line, word)
			}
			if !missing {
				return nil
			}
		}
		return fmt.Errorf("no such line in %s", b.mail.Mail())
	})
}

// serverEnds: one of two servers is HAProxy's business, the VIP stays.
func (b *balanced) serverEnds() {
	exch1, proxy := b.main.servers[0], b.proxies[b.main]
	b.stage("a server dies, its clients go to the other and the VIP stays", func(t *testing.T) {
		since := b.main.director.now().Since
		b.suffer(t, exch1.nginx.Kill, func() {
			b.lab.WaitFor("HAProxy to say so", func() error {
				if !strings.Contains(proxy.Output(), "Server exchange/exch1 is DOWN") {
					return errors.New(proxy.Output())
				}
				return nil
			})
		}, b.both(lot{gone: []*exchangeServer{exch1}, fails: servedBy(exch1)}))
		b.mailed("Subject: [HAProxy Alert]", "exchange/exch1 is DOWN")
		if i := b.main.director.now(); !i.Since.Equal(since) {
			t.Errorf("lb1 has changed its role because %s", i.Reason)
		}
	})
	b.stage("it is back", func(t *testing.T) {
		exch1.start()
		b.mailed("Subject: [HAProxy Alert]", "exchange/exch1 is UP")
		b.back(t)
	})
}

// proxyEnds: the process is tracked.
func (b *balanced) proxyEnds() {
	b.stage("HAProxy ends, the VIP goes to the other site", func(t *testing.T) {
		b.suffer(t, b.proxies[b.main].Kill, func() { b.settle(b.reserve) },
			b.both(lot{gone: b.main.servers, fails: anybody}))
		b.explained(b.main.director, `^101 −2 haproxy since \S+ −2 exchange since \S+ = 97$`)
		b.mailed("exchange is MASTER with priority 100")
		b.mailed("exchange is BACKUP")
	})
	b.stage("the other one ends too, the VIP is on one of them still", func(*testing.T) {
		b.proxies[b.reserve].Kill()
		b.explained(b.reserve.director, `^100 −2 haproxy since \S+ −2 exchange since \S+ = 96$`)
		b.settle(b.main)
	})
	b.stage("they are back", func(t *testing.T) {
		b.startProxy(b.reserve)
		b.startProxy(b.main)
		b.back(t)
	})
}

// serviceFails: HAProxy lives and reaches no server.
func (b *balanced) serviceFails() {
	b.stage("no server is well, the VIP goes to the other site", func(t *testing.T) {
		b.suffer(t, func() {
			for _, server := range b.main.servers {
				server.fail()
			}
		}, func() { b.settle(b.reserve) }, b.both(lot{gone: b.main.servers, fails: anybody}))
		b.explained(b.main.director, `^101 −2 exchange since \S+ = 99$`)
	})
	b.stage("they are well again", func(t *testing.T) {
		for _, server := range b.main.servers {
			server.heal()
		}
		b.back(t)
	})
}

// lineIsCut: each site serves its own clients. To the reserve it is as if the main
// site were lost.
func (b *balanced) lineIsCut() {
	b.stage("the line is cut, each site serves its own", func(t *testing.T) {
		b.suffer(t, func() { b.main.SetCable(b.line, false) }, func() {
			b.lab.WaitFor("lb2 to be MASTER too", func() error { return b.settled(b.reserve, b.reserve) })
		}, map[*exchangeSite]lot{
			b.main:    {gone: b.reserve.servers},
			b.reserve: {gone: b.main.servers, fails: anybody},
		})
	})
	b.stage("the line is mended, and one yields", func(t *testing.T) {
		b.main.SetCable(b.line, true)
		b.back(t)
	})
}
