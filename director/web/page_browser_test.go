package web

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// TestPage is all that needs a browser: starting one takes longer than the rest.
func TestPage(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, *browser)
	}{
		{"shows a role change", testRoleChange},
		{"shows a server that goes down", testServerDown},
		{"drains by the admin action", testDrain},
		{"begins maintenance and has checks ask", testMaintenance},
		{"explains instances and services", testExplanations},
		{"shows nothing without credentials", testSignIn},
		{"shows hostile names as text", testHostileNames},
		{"is dark or light", testThemes},
		{"fits a telephone", testTelephone},
		{"comes back with the node", testComesBack},
		{"shows many services", testManyServices},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, b)
		})
	}
}

// server selects the row of a server.
func server(address string) string { return fmt.Sprintf("[data-server=%q]", address) }

func testRoleChange(t *testing.T, b *browser) {
	scene := newScene(relays())
	p := b.open(t, 1440, 1000, serve(t, config.Web{}, scene).address)
	p.untilText(`[data-instance="web"] .chip`, "BACKUP")
	scene.change(director.Event{Kind: director.EventInstance, Severity: "warning", Instance: "web", Text: "instance web is MASTER"}, func(s *director.Status) {
		s.Instances[1].State, s.Instances[1].Reason, s.Instances[1].Since = "master", "10.0.0.2 gave up", time.Now()
		s.Instances[1].VIPs = []director.VIPStatus{{Address: "198.51.100.80/24", Held: true}}
	})
	p.untilText(`[data-instance="web"] .chip`, "MASTER")
	p.untilText(`[data-instance="web"]`, "10.0.0.2 gave up")
	p.untilText(`[data-instance="web"]`, "held")
	p.untilText("#event-rows .what", "instance web is MASTER")
	p.until("the change to be read out", `document.querySelector("#announcer").textContent.includes("web is MASTER")`)
	p.untilText(`[data-node="relay2"]`, "1 server")
	p.untilText(`[data-node="relay3"]`, "another file")
	p.shot("role-change")
	p.well()
}

func testServerDown(t *testing.T, b *browser) {
	scene := newScene(relays())
	p := b.open(t, 1440, 1000, serve(t, config.Web{}, scene).address)
	p.untilText(server("192.0.2.12:25")+" .chip", "UP")
	scene.change(director.Event{Kind: director.EventServerDown, Severity: "error", Text: "192.0.2.12:25 of mail is down"}, func(s *director.Status) {
		check := s.Services[0].RealServers[1].Checks[0]
		check.Code, check.Reason = "L4CON", "connection refused"
		s.Services[0].RealServers[1].Checks = []director.CheckStatus{check}
		down(&s.Services[0].RealServers[1], time.Now())
		s.Services[0].Up, s.Services[0].Quorum.Up, s.Services[0].Quorum.Quorate = 1, 1, false
	})
	p.untilText(server("192.0.2.12:25")+" .chip", "DOWN")
	p.untilText(server("192.0.2.12:25")+" .c-check", "L4CON")
	p.untilText(server("192.0.2.12:25")+" .c-check", "connection refused")
	p.untilText(".total", "no quorum")
	p.untilText("#event-rows .what", "192.0.2.12:25 of mail is down")
	p.press(server("192.0.2.12:25") + " .name")
	p.press("#panel details summary")
	p.untilText("#panel pre", "EHLO relay1")
	p.until("20 results", `document.querySelectorAll("#panel .bars rect").length === 20`)
	p.shot("server-down")
	// What was opened stays so when it is drawn anew.
	scene.change(director.Event{Text: "again"}, func(s *director.Status) { s.Services[0].RealServers[1].Since = time.Now().Add(-time.Minute) })
	p.untilText("#panel .state", "1m")
	p.untilText("#panel pre", "EHLO relay1")
	p.well()
}

func signIn(p *tab, user, password string) {
	p.Helper()
	p.until("the form", `document.querySelector("[name=password]")`)
	p.run(chromedp.SendKeys("[name=user]", user, chromedp.ByQuery), chromedp.SendKeys("[name=password]", password+kb.Enter, chromedp.ByQuery))
}

func testDrain(t *testing.T, b *browser) {
	scene := newScene(relays())
	s := serve(t, config.Web{Admin: true, Users: map[string]config.Secret{"alice": hashOf(t, "right")}}, scene)
	p := b.open(t, 1440, 1000, s.address)
	signIn(p, "alice", "right")
	p.untilText(server("192.0.2.11:25")+" .chip", "UP")
	p.press(server("192.0.2.11:25") + " .name")
	p.until("the form", `document.querySelector("#panel [name=reason]")`)
	p.run(chromedp.SendKeys("#panel [name=reason]", "new disk", chromedp.ByQuery))
	p.ask(`document.querySelector("#panel [name=for]").value = "3600000000000"`, nil)
	p.press(`#panel [data-order="drain"]`)
	p.untilText("#panel .answer", "Told: relay2. Not told yet: relay3 (no route to host).")
	p.untilText(server("192.0.2.11:25")+" .chip", "DRAIN")
	p.untilText(server("192.0.2.11:25")+" .c-check", "new disk")
	p.untilText("#panel .override", "new disk")
	orders := scene.ordered()
	if len(orders) != 1 || orders[0].State != director.Drain || orders[0].For != time.Hour || orders[0].Reason != "new disk" ||
		orders[0].Target != (director.Target{Service: "mail", Server: "192.0.2.11:25"}) || orders[0].By != "web:alice@127.0.0.1" {
		t.Errorf("orders %+v", orders)
	}
	p.shot("drain")
	p.press(`#panel [data-order="clear"]`)
	p.untilText("#panel .answer", "Cleared here.")
	p.untilText(server("192.0.2.11:25")+" .chip", "UP")
	p.well()
}

func testMaintenance(t *testing.T, b *browser) {
	scene := newScene(relays())
	s := serve(t, config.Web{Admin: true, Users: map[string]config.Secret{"alice": hashOf(t, "right")}}, scene)
	p := b.open(t, 1440, 1000, s.address)
	signIn(p, "alice", "right")
	p.untilText("#node-name", "relay1")
	p.until("the button", `document.querySelector("#maintenance:not([hidden])")`)
	p.press("#maintenance")
	p.untilText("#panel .state", "Not in maintenance")
	p.run(chromedp.SendKeys("#panel [name=reason]", "new kernel", chromedp.ByQuery))
	p.press(`#panel [data-order="maintenance-on"]`)
	p.untilText("#panel .answer", "Told: relay2.")
	p.untilText("#panel .override", "new kernel")
	p.untilText("#notices", "new kernel")
	p.shot("maintenance")
	p.press(`#panel [data-order="maintenance-off"]`)
	p.untilText("#panel .state", "Not in maintenance")
	scene.mu.Lock()
	orders := slices.Clone(scene.maintained)
	scene.mu.Unlock()
	want := []director.MaintenanceOrder{{On: true, Reason: "new kernel", By: "web:alice@127.0.0.1"}, {By: "web:alice@127.0.0.1"}}
	if !slices.Equal(orders, want) {
		t.Errorf("orders %+v, want %+v", orders, want)
	}
	p.press("#panel .panel-head button")
	p.press(server("192.0.2.13:25") + " .name")
	p.press(`#panel [data-order="check"]`)
	p.untilText("#panel .answer", "Checked: down.")
	scene.mu.Lock()
	defer scene.mu.Unlock()
	if !slices.Equal(scene.checked, []string{"192.0.2.13:25 in mail"}) {
		t.Errorf("checks asked: %v", scene.checked)
	}
	p.well()
}

func testExplanations(t *testing.T, b *browser) {
	scene := newScene(relays())
	scene.change(director.Event{Kind: director.EventInstance, Severity: "warning", Instance: "mail", Text: "instance mail is MASTER"}, func(s *director.Status) {
		s.OverrideTrouble = "overrides.json: unexpected end"
	})
	p := b.open(t, 1440, 1000, serve(t, config.Web{}, scene).address)
	p.untilText("#notices", "overrides.json: unexpected end")
	p.untilText("#notices", "mail 192.0.2.11:25 is down there, up here")
	var hidden bool
	p.ask(`document.querySelector("#maintenance").hidden`, &hidden)
	if !hidden {
		t.Error("the page offers maintenance although nobody may order it")
	}
	p.press(`[data-instance="mail"] .name`)
	p.untilText("#panel", "150 −20 haproxy since 12:03:11 = 130")
	p.untilText("#panel", "interface uplink")
	p.untilText("#panel", "instance mail is MASTER")
	p.shot("instance")
	p.press("#panel .panel-head button")
	p.press(".total .name")
	p.untilText("#panel", "554 5.7.1 no service here")
	p.untilText("#panel", "instance mail is MASTER")
	p.fits()
	p.shot("service")
	p.well()
}

func testSignIn(t *testing.T, b *browser) {
	s := serve(t, config.Web{Users: map[string]config.Secret{"alice": hashOf(t, "right")}}, newScene(relays()))
	p := b.open(t, 1000, 700, s.address)
	p.until("the form", `location.pathname === "/sign-in" && document.querySelector("[name=password]")`)
	p.shot("sign-in")
	var code int
	p.run(chromedp.Evaluate(`fetch("/v1/status").then(r => r.status)`, &code, awaited))
	if code != 401 {
		t.Errorf("the status without credentials: %d", code)
	}
	signIn(p, "alice", "wrong")
	p.untilText("[role=alert]", "wrong")
	signIn(p, "alice", "right")
	p.untilText("#user", "alice")
	p.untilText("#node-name", "relay1")
	p.press(server("192.0.2.11:25") + " .name")
	p.untilText("#panel", "smtp")
	var forms int
	p.ask(`document.querySelectorAll("#panel [data-order]").length`, &forms)
	if forms != 0 {
		t.Error("the page offers orders although admin is not set")
	}
	var cookies string
	p.ask(`document.cookie`, &cookies)
	if cookies != "" {
		t.Errorf("scripts can read the cookie: %s", cookies)
	}
	p.press("#panel .panel-head button")
	p.press("#sign-out button")
	p.until("the form", `location.pathname === "/sign-in"`)
	p.well()
}

// testHostileNames puts HTML and scripts wherever a name, a reason or an answer of a
// server is shown.
func testHostileNames(t *testing.T, b *browser) {
	const hostile = `<img src=x onerror="window.broken=1"><script>window.broken=2</script>"'&amp;</td></table>`
	status := relays()
	text, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	escaped, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	for _, plain := range []string{
		"relay1", "no advert of another MASTER", "smtp", "mx1.example.org", "kernel update", "eth0", "no route to host", "wlc",
		"250 mx2.example.org ready", "554 5.7.1 no service here, closing transmission channel", "weight 7", "L7STS", "delayed", "10.0.0.2:9468",
	} {
		if !strings.Contains(string(text), plain) {
			t.Fatalf("nothing is called %q", plain)
		}
		text = []byte(strings.ReplaceAll(string(text), plain, plain+string(escaped[1:len(escaped)-1])))
	}
	if err := json.Unmarshal(text, &status); err != nil {
		t.Fatal(err)
	}
	status.Services[0].Name += hostile
	scene := newScene(status)
	scene.change(director.Event{Severity: "error", Kind: director.EventKind(hostile), Text: "an event " + hostile}, func(*director.Status) {})
	p := b.open(t, 1440, 1000, serve(t, config.Web{}, scene).address)
	p.untilText("#node-name", "relay1"+hostile)
	p.untilText("#event-rows .what", "an event "+hostile)
	p.untilText(".total .name", "mail"+hostile)
	p.untilText(server("192.0.2.13:25")+" .c-check", hostile)
	p.press(server("192.0.2.13:25") + " .name")
	p.press("#panel details summary")
	p.untilText("#panel pre", hostile)
	p.shot("hostile-names")
	p.press("#panel .panel-head button")
	p.run(chromedp.SendKeys("#filter", hostile, chromedp.ByQuery))
	var broken bool
	p.ask(`Boolean(window.broken) || document.querySelectorAll("main img, dialog img, body script").length > 0`, &broken)
	if broken {
		t.Error("a name was taken for HTML")
	}
	p.fits()
	p.well()
}

func testThemes(t *testing.T, b *browser) {
	p := b.open(t, 1440, 1000, serve(t, config.Web{}, newScene(relays())).address)
	p.untilText("#live", "live")
	p.untilText(server("192.0.2.13:25")+" .chip", "DOWN")
	p.until("a graph", `document.querySelector(".spark .line")?.getAttribute("points")?.split(" ").length > 2`)
	ground := func() (colour string) {
		p.ask(`getComputedStyle(document.body).backgroundColor`, &colour)
		return colour
	}
	light := ground()
	p.shot("light")
	p.dark()
	dark := ground()
	p.shot("dark")
	if light == dark {
		t.Errorf("a browser that prefers dark has the ground %s too", dark)
	}
	p.press("#theme")
	if got := ground(); got != light {
		t.Errorf("the other theme has the ground %s, want %s", got, light)
	}
	p.run(chromedp.Reload())
	p.untilText("#live", "live")
	if got := ground(); got != light {
		t.Errorf("the choice is forgotten: ground %s, want %s", got, light)
	}
	p.well()
}

func testTelephone(t *testing.T, b *browser) {
	p := b.open(t, 390, 844, serve(t, config.Web{}, newScene(relays())).address)
	p.untilText(".instance .chip", "MASTER")
	p.fits()
	p.shot("telephone")
	p.ask(`document.querySelector("#services").scrollIntoView()`, nil)
	p.untilText(server("192.0.2.13:25")+" .chip", "DOWN")
	p.fits()
	p.shot("telephone-services")
	p.press(server("192.0.2.13:25") + " .name")
	p.untilText("#panel", "Transcript")
	p.ask(`document.querySelectorAll("#panel details").forEach(d => d.open = true)`, nil)
	p.fits()
	p.shot("telephone-panel")
	p.press("#panel .panel-head button")
	p.run(chromedp.EmulateViewport(900, 700))
	p.fits()
	p.shot("tablet")
	p.well()
}

// testComesBack ends the site and begins another one at the same address, as a restart
// of the daemon does.
func testComesBack(t *testing.T, b *browser) {
	s := serve(t, config.Web{}, newScene(relays()))
	p := b.open(t, 1440, 1000, s.address)
	p.untilText("#live", "live")
	p.untilText("#node-name", "relay1")
	s.end()
	p.untilText("#live", "connection lost")
	p.shot("connection-lost")
	status := relays()
	status.RouterID, status.Services = "relay9", status.Services[1:]
	scene := newScene(status)
	scene.change(director.Event{Text: "begun anew"}, func(*director.Status) {})
	serveAt(t, config.Web{}, scene, s.address)
	p.untilText("#live", "live")
	p.untilText("#node-name", "relay9")
	p.untilText("#event-rows .what", "begun anew")
	p.until("the services that there are now", `document.querySelectorAll(".service").length === 2`)
	p.well()
}

// testManyServices: what is not in sight costs little.
func testManyServices(t *testing.T, b *browser) {
	scene := newScene(crowd(400))
	p := b.open(t, 1440, 1000, serve(t, config.Web{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, scene).address)
	p.until("all services", `document.querySelectorAll(".service").length === 400`)
	p.untilText(".total .chip", "10/10 UP")
	var rows int
	p.ask(`document.querySelectorAll("tr.server").length`, &rows)
	if rows > 0 {
		t.Errorf("%d servers are drawn although their services are collapsed", rows)
	}
	p.shot("many-services")
	// How long the page is busy with the messages of some rounds.
	var busy float64
	p.run(chromedp.Evaluate(`new Promise(done => {
		let busy = 0;
		const watch = new PerformanceObserver(list => { for (const e of list.getEntries()) busy += e.duration; });
		watch.observe({ entryTypes: ["longtask"] });
		setTimeout(() => done(busy), 2000);
	})`, &busy, awaited))
	t.Logf("tasks of more than 50 ms took %.0f ms of 2 s", busy)
	p.run(chromedp.SendKeys("#filter", "service-0377", chromedp.ByQuery))
	p.until("the service of the filter", `document.querySelectorAll(".service").length === 1`)
	p.press(".service .toggle")
	p.until("its servers", `document.querySelectorAll("tr.server").length === 10`)
	p.well()
}
