package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/director"
)

// staticSource shows the same whenever it is asked.
type staticSource struct {
	topLook
	asked *[]string
}

func (s staticSource) look(after uint64) topLook {
	look := s.topLook
	look.events = slices.DeleteFunc(slices.Clone(look.events), func(e director.Event) bool { return e.Seq <= after })
	return look
}

func (s staticSource) explain(what subject, name, service string) (string, error) {
	if s.asked != nil {
		*s.asked = append(*s.asked, strings.Join([]string{string(what), name, service}, "|"))
	}
	if name == "192.0.2.14:25" {
		return "", errors.New("no luck")
	}
	return fmt.Sprintf("%s %s\n  because of \x1b[31mthis\n%s", what, name, strings.Repeat("more\n", 40)), nil
}

// topScene is what the frames show.
func topScene() topLook {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.Local)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	check := func(state, code, reason string, took time.Duration) []director.CheckStatus {
		return []director.CheckStatus{{Kind: "smtp", State: state, Code: code, Reason: reason, Duration: took}}
	}
	status := director.Status{
		Schema: "lvsd.status/1", RouterID: "relay1", Version: "v1.2.3", PID: 42, Started: ago(time.Hour), ConfigHash: "aa", Ready: true,
		Instances: []director.InstanceStatus{
			{Name: "mail", State: "master", Priority: 100, Since: ago(time.Minute), Reason: "nobody else was heard"},
			{Name: "web", State: "backup", Priority: 80, Master: "192.0.2.252", Since: ago(time.Hour), Reason: "a MASTER with a higher priority"},
		},
		Nodes: []director.NodeStatus{
			{Name: "relay2", Address: "192.0.2.252", Reachable: true, NodeReport: director.NodeReport{
				Version: "v1.2.3", ConfigHash: "aa", Ready: true, Roles: map[string]string{"mail": "backup", "web": "master"},
			}},
			{Name: "relay3", Address: "192.0.2.253", Error: "connection refused", Last: ago(time.Minute), NodeReport: director.NodeReport{ConfigHash: "bb"}},
		},
		Services: []director.ServiceStatus{
			{Name: "smtp", Service: "tcp 192.0.2.1:25", RealServers: []director.RealServerStatus{
				{Address: "192.0.2.11:25", State: "up", KernelWeight: 3, Active: 12, Checks: check("up", "L7OK", "220 mx1 ESMTP", 12*time.Millisecond)},
				{Address: "192.0.2.12:25", Host: "mx2.example", State: "up", Admin: director.Drain, Active: 123456, Checks: check("up", "L7OK", "220 mx2 ESMTP", 1500*time.Millisecond)},
				{Address: "192.0.2.13:25", State: "down", KernelWeight: -1, Checks: check("down", "L7STS", "451 4.3.0\x1b[2J ünwohl", time.Millisecond)},
			}},
			{Name: "smtp", Service: "tcp 192.0.2.2:25", RealServers: []director.RealServerStatus{{Address: "192.0.2.11:25", Active: 5}}},
			{Name: "web", Service: "tcp 192.0.2.1:80", RealServers: []director.RealServerStatus{{Address: "192.0.2.14:25", State: "unknown"}}},
		},
	}
	traffic := director.Traffic{Services: []director.ServiceTraffic{
		{Name: "smtp", Servers: []director.ServerTraffic{
			{Address: "192.0.2.11:25", TrafficCounters: director.TrafficCounters{ConnectionRate: 7, InByteRate: 12_345, OutByteRate: 99_949_999}},
			{Address: "192.0.2.12:25", TrafficCounters: director.TrafficCounters{ConnectionRate: 12_345}},
		}},
		{Name: "smtp", Servers: []director.ServerTraffic{{Address: "192.0.2.11:25", TrafficCounters: director.TrafficCounters{ConnectionRate: 3}}}},
	}}
	events := []director.Event{
		{Seq: 1, At: ago(time.Hour), Kind: director.EventStarted, Severity: "info", Text: "lvsd v1.2.3 started"},
		{Seq: 2, At: ago(time.Minute), Kind: director.EventServerDown, Severity: "warning", Text: "192.0.2.13:25 in smtp is down: L7STS 451 4.3.0"},
	}
	return topLook{at: now, status: status, traffic: traffic, events: events}
}

// pressed is the model after the keys, each with what it asks for answered.
func pressed(m tea.Model, keys ...string) tea.Model {
	special := map[string]tea.KeyType{
		"tab": tea.KeyTab, "shift+tab": tea.KeyShiftTab, "down": tea.KeyDown, "up": tea.KeyUp, "enter": tea.KeyEnter, "esc": tea.KeyEsc,
		"backspace": tea.KeyBackspace, "pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp, "end": tea.KeyEnd, "home": tea.KeyHome,
	}
	for _, key := range keys {
		message := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(key)}
		if kind, ok := special[key]; ok {
			message = tea.KeyMsg{Type: kind}
		}
		var command tea.Cmd
		m, command = m.Update(message)
		if command != nil {
			m, _ = m.Update(command())
		}
	}
	return m
}

// seen is the model that has looked once.
func seen(source topSource, width, height int) tea.Model {
	var m tea.Model = newTopModel(source, palette{})
	m, _ = m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	m, _ = m.Update(m.Init()())
	return m
}

func TestTopFrames(t *testing.T) {
	source := staticSource{topLook: topScene()}
	for name, m := range map[string]tea.Model{
		"start":     newTopModel(source, palette{}),
		"servers":   seen(source, 80, 24),
		"wide":      seen(source, 140, 12),
		"narrow":    seen(source, 40, 8),
		"instances": pressed(seen(source, 80, 24), "2"),
		"nodes":     pressed(seen(source, 80, 24), "shift+tab", "shift+tab"),
		"events":    pressed(seen(source, 80, 24), "4"),
		"sorted":    pressed(seen(source, 80, 24), "s", "j"),
		"filtering": pressed(seen(source, 80, 24), "/", "m", "x", "x", "backspace", "2"),
		"filtered":  pressed(seen(source, 80, 24), "/", "m", "x", "2", "enter"),
		"explained": pressed(seen(source, 80, 24), "down", "e", "j", "j"),
		"gone": func() tea.Model {
			m, _ := seen(source, 80, 24).Update(topLook{err: errors.New("lvsd is not running")})
			return m
		}(),
	} {
		t.Run(name, func(t *testing.T) { wantGolden(t, "testdata/top/"+name+".want", m.View()+"\n") })
	}
	coloured := seen(source, 80, 24).(topModel)
	coloured.on = true
	wantGolden(t, "testdata/top/coloured.want", coloured.View()+"\n")
}

// TestTopKeys: what the keys do beside what frames show.
func TestTopKeys(t *testing.T) {
	var asked []string
	source := staticSource{topLook: topScene(), asked: &asked}
	m := pressed(seen(source, 80, 24), "j", "j", "j", "j", "e")
	if got := m.View(); !strings.Contains(got, "no luck") {
		t.Errorf("an explanation that fails: %s", got)
	}
	m = pressed(m, "esc", "2", "down", "enter", "q")
	pressed(m, "3", "e", "4", "e") // of nodes and events there is none
	if want := []string{"real server|192.0.2.14:25|web", "VRRP instance|web|"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	_, command := seen(source, 80, 24).Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("q")})
	if command == nil || command() != tea.Quit() {
		t.Error("q does not quit")
	}
	if got := pressed(seen(source, 80, 24), "/", "q").(topModel); got.filter != "q" || !got.filtering {
		t.Errorf("q in a filter: %+v", got.filter)
	}
	if got := pressed(seen(source, 80, 24), "/", "x", "enter", "esc").(topModel); got.filter != "" {
		t.Errorf("esc leaves the filter %q", got.filter)
	}
}

// TestTopGoesOn: it looks again a second after each look, whether that succeeded or
// not, and another daemon's events take the place of the former's.
func TestTopGoesOn(t *testing.T) {
	source := staticSource{topLook: topScene()}
	m := seen(source, 80, 24)
	if m, command := m.Update(topTick{}); command == nil {
		t.Error("a tick does not look")
	} else if look := command().(topLook); len(look.events) > 0 {
		t.Errorf("events %v again, of %d", look.events, len(m.(topModel).events))
	}
	if _, command := m.Update(topLook{err: errors.New("x")}); command == nil {
		t.Error("after a failed look there is no other")
	}
	another := topScene()
	another.status.PID, another.events = 43, another.events[:1]
	m, _ = m.Update(another)
	if got := m.(topModel).events; len(got) != 1 {
		t.Errorf("%d events of two daemons, want those of the second", len(got))
	}
}

// TestTopFitsTheScreen: whatever is typed and however small the screen, a frame is as
// many lines as that, none wider, and the selected row is in sight.
func TestTopFitsTheScreen(t *testing.T) {
	source := staticSource{topLook: topScene()}
	for i := range uint64(60) {
		source.events = append(source.events, director.Event{Seq: 3 + i, Text: strings.Repeat("長い話", 60)})
	}
	keys := []string{"tab", "j", "k", "pgdown", "pgup", "end", "home", "s", "/", "m", "esc", "e", "enter", "1", "4", "2", "3"}
	rapid.Check(t, func(t *rapid.T) {
		width, height := rapid.IntRange(10, 150).Draw(t, "width"), rapid.IntRange(topFrame+1, 40).Draw(t, "height")
		m := pressed(seen(source, width, height), rapid.SliceOfN(rapid.SampledFrom(keys), 0, 12).Draw(t, "keys")...)
		lines := strings.Split(m.View(), "\n")
		if len(lines) != height {
			t.Fatalf("%d lines, want %d:\n%s", len(lines), height, m.View())
		}
		for _, line := range lines {
			if lipgloss.Width(line) > width {
				t.Fatalf("%d columns, want %d: %q", lipgloss.Width(line), width, line)
			}
		}
		top := m.(topModel)
		if rows := len(top.rows()); top.explained == nil && rows > 0 && (top.cursor < top.offset || top.cursor >= top.offset+top.body() || top.cursor >= rows) {
			t.Fatalf("row %d of %d is selected, %d to %d are in sight", top.cursor, rows, top.offset, top.offset+top.body()-1)
		}
	})
}

func TestQuantity(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0", 9999: "9999", 10_000: "10.0k", 99_949: "99.9k", 99_950: "100k", 999_499: "999k", 999_500: "1.0M", 1 << 63: "9.2E",
	} {
		if got := quantity(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
