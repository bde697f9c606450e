package integration

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// garpBurst is how many gratuitous ARP a burst has, and two bursts are sent.
const garpBurst = 5

// remark is what tcpdump says about a packet that it does not like.
var remark = regexp.MustCompile(`(?i)bad|incorrect|invalid|wrong|truncated|\[\||unknown`)

// TestWire: lvsd's packets are byte for byte those that keepalived 2.2.7 was
// seen to send with the same parameters, and tcpdump agrees with every field.
func TestWire(t *testing.T) {
	t.Parallel()
	const group = "to 01005e000012, version and length 45, tos c0, total length %d, ttl 255, 10.99.0.1 > 224.0.0.18"
	for _, c := range []struct {
		name   string
		router virtualRouter
		// advert and goodbye are the messages, envelope the header of both.
		advert, goodbye, envelope string
		// prints is what tcpdump makes of the advert.
		prints []string
	}{
		{
			name:     "version 2 with password",
			router:   virtualRouter{Version: 2, VRID: 53, Priority: 100, Password: "1111"},
			advert:   "2135640101010c9f0a6300643131313100000000",
			goodbye:  "213500010101709f0a6300643131313100000000",
			envelope: fmt.Sprintf(group, 40),
			prints: []string{
				"tos 0xc0, ttl 255,", "proto VRRP (112), length 40",
				"10.99.0.1 > 224.0.0.18: VRRPv2, Advertisement, vrid 53, prio 100, authtype simple, intvl 1s",
				"length 20, addrs: 10.99.0.100 auth \"1111\"",
			},
		},
		{
			name:     "version 3",
			router:   virtualRouter{Version: 3, VRID: 61, Priority: 150},
			advert:   "313d9601006442a30a630064",
			goodbye:  "313d00010064d8a30a630064",
			envelope: fmt.Sprintf(group, 32),
			prints: []string{
				"tos 0xc0, ttl 255,", "proto VRRP (112), length 32",
				"10.99.0.1 > 224.0.0.18: VRRPv3, Advertisement, vrid 61, prio 150, intvl 100cs",
				"length 12, addrs: 10.99.0.100",
			},
		},
		{
			name: "version 3 unicast",
			router: virtualRouter{
				Version: 3, VRID: 82, Priority: 150, Source: "10.99.0.1", Peer: "10.99.0.2",
				VIPs: []string{hostVIP, "10.99.0.101"},
			},
			advert:   "3152960200640d6f0a6300640a630065",
			goodbye:  "315200020064a36f0a6300640a630065",
			envelope: "to %s, version and length 45, tos c0, total length 36, ttl 255, 10.99.0.1 > 10.99.0.2",
			prints: []string{
				"10.99.0.1 > 10.99.0.2: VRRPv3, Advertisement, vrid 82, prio 150, intvl 100cs",
				"length 16, addrs(2): 10.99.0.100,10.99.0.101",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			lab.Require(t, lab.NeedNetns, lab.NeedTcpdump)
			t.Parallel()
			// The interval is part of the message, and nobody waits for it.
			c.router.Interval, c.router.Keys = time.Second, "garp = { delay = \"1s\", refresh = \"0s\" }\n"
			w := watch(t, c.router)
			if strings.Contains(c.envelope, "%s") {
				c.envelope = fmt.Sprintf(c.envelope, strings.ReplaceAll(w.observer.MAC(), ":", ""))
			}
			adverts := w.adverts(t)
			w.checkAdverts(t, adverts, c.advert, c.goodbye, c.envelope)
			w.checkPrinted(t, c.prints, len(adverts))
			w.checkARP(t)
		})
	}
}

// wire is an lvsd alone on a segment, and what another host saw of its life.
type wire struct {
	lvsd     *node
	observer *lab.Host
	capture  *lab.Capture
	frames   []frame
}

// watch captures what lvsd sends from the start over both bursts of gratuitous
// ARP to the stop.
func watch(t *testing.T, v virtualRouter) *wire {
	s := newSegment(t)
	w := &wire{lvsd: s.addNode("lvsd", "10.99.0.1"), observer: s.lab.Host("observer", "10.99.0.2/24")}
	w.capture = w.observer.Capture("ip proto 112 or (arp and ether src " + w.lvsd.MAC() + " and not src host 10.99.0.1)")
	w.lvsd.configure(v)
	w.lvsd.start()
	s.lab.WaitFor("both bursts of gratuitous ARP and some adverts", func() error {
		printed := w.capture.Print()
		arp, adverts := strings.Count(printed, "ARP"), strings.Count(printed, "VRRP")
		if arp < 2*garpBurst*len(v.vips()) || adverts < 3 {
			return fmt.Errorf("%d adverts, %d ARP:\n%s", adverts, arp, printed)
		}
		return nil
	})
	w.lvsd.stop()
	s.lab.WaitFor("the goodbye", func() error {
		if !strings.Contains(w.capture.Print(), "prio 0") {
			return errors.New("none")
		}
		return nil
	})
	w.frames = frames(t, w.capture.Stop())
	return w
}

// adverts are the frames with adverts.
func (w *wire) adverts(t *testing.T) []frame {
	t.Helper()
	var all []frame
	for n, f := range w.frames {
		switch {
		case f.isVRRP():
			all = append(all, f)
		case n == 0:
			t.Error("the first frame is not an advert: the old MASTER would not have given up the VIP yet")
		}
	}
	return all
}

// checkAdverts: all are the same but the last, which is the goodbye.
func (*wire) checkAdverts(t *testing.T, adverts []frame, advert, goodbye, envelope string) {
	t.Helper()
	for n, f := range adverts {
		want := advert
		if n == len(adverts)-1 {
			want = goodbye
		}
		if got := f.vrrp(); got != want {
			t.Errorf("advert %d of %d is %s, want %s", n+1, len(adverts), got, want)
		}
		if got := f.envelope(); got != envelope {
			t.Errorf("advert %d is sent %s, want %s", n+1, got, envelope)
		}
	}
}

// checkPrinted: tcpdump finds every field in every advert, the priority of the
// last one aside, and nothing to remark.
func (w *wire) checkPrinted(t *testing.T, fields []string, adverts int) {
	t.Helper()
	printed := w.capture.Print("-vvv")
	for line := range strings.Lines(printed) {
		if remark.MatchString(line) {
			t.Errorf("tcpdump remarks: %s", line)
		}
	}
	for _, field := range fields {
		want := adverts
		if strings.Contains(field, "prio ") {
			want--
		}
		if got := strings.Count(printed, field); got != want {
			t.Errorf("tcpdump prints %q %d times, want %d:\n%s", field, got, want, printed)
		}
	}
}

// checkARP: for each VIP two bursts of gratuitous ARP, as keepalived sends them.
func (w *wire) checkARP(t *testing.T) {
	t.Helper()
	mac := strings.ReplaceAll(w.lvsd.MAC(), ":", "")
	const broadcast = "ffffffffffff"
	got := map[string]int{}
	for _, f := range w.frames {
		if f.isARP() {
			got[f.arp()]++
		}
	}
	for _, address := range w.lvsd.router.vips() {
		ip := hex.EncodeToString(netip.MustParseAddr(address).AsSlice())
		// A request for the address by its holder, to and about everybody.
		want := broadcast + mac + "0806" + "0001080006040001" + mac + ip + broadcast + ip
		if got[want] != 2*garpBurst {
			t.Errorf("gratuitous ARP %s was sent %d times, want %d", want, got[want], 2*garpBurst)
		}
		delete(got, want)
	}
	for other, n := range got {
		t.Errorf("ARP %s was sent %d times, want none", other, n)
	}
}
