package iptables

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestWatch: every kind of change of lvsd's tables is told, in both families,
// and nothing else is.
func TestWatch(t *testing.T) {
	need(t, "netns", "iptables-nft")
	h := newHost(t)
	table := openTable(t, "iptables-nft")
	if !table.HasEvents() {
		t.Fatal("nf_tables is not known to have events")
	}
	calls := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	watching := make(chan struct{})
	go func() {
		h.enterThread()
		close(watching)
		ended <- Watch(ctx, func() { calls <- struct{}{} })
	}()
	<-watching
	told := func(what string) {
		t.Helper()
		select {
		case <-calls:
		case err := <-ended:
			t.Fatalf("%s: %v", what, err)
		case <-time.After(patience):
			t.Fatalf("%s was not told", what)
		}
	}
	told("the start")
	rule := strings.Fields("-t mangle -A PREROUTING -d 2001:db8::1/128 -j MARK --set-mark 1")
	for _, change := range []struct {
		what string
		do   func()
	}{
		{"a rule of lvsd's", func() { succeed(t, table.Add(t.Context(), smtp)) }},
		{"a flush of nat", func() { h.run("iptables-nft", "-t", "nat", "-F") }},
		{"a rule of ip6tables", func() { h.run("ip6tables-nft", rule...) }},
		{"its end", func() { h.run("ip6tables-nft", "-t", "mangle", "-F") }},
	} {
		drain(calls)
		change.do()
		told(change.what)
	}
	settle(t, calls)
	h.run("iptables-nft", "-A", "INPUT", "-j", "ACCEPT")
	select {
	case <-calls:
		t.Error("a change of the table filter was told")
	case <-time.After(4 * watchPause):
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

func drain(calls <-chan struct{}) {
	for {
		select {
		case <-calls:
		default:
			return
		}
	}
}

// settle waits until nothing is told any more.
func settle(t *testing.T, calls <-chan struct{}) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		select {
		case <-calls:
		case <-time.After(10 * watchPause):
			return
		}
	}
	t.Fatal("changes are told without end")
}

func TestLegacyHasNoEvents(t *testing.T) {
	need(t, "netns", "iptables-legacy")
	newHost(t)
	if openTable(t, "iptables-legacy").HasEvents() {
		t.Error("the legacy backend is taken to have events")
	}
}

// message is a netlink message of a subsystem and kind, with one attribute.
func message(subsystem, kind, family uint8, attribute uint16, value string) []byte {
	m := make([]byte, offsetValue, 64)
	m = append(append(m, value...), 0)
	binary.NativeEndian.PutUint32(m, uint32(len(m)))
	binary.NativeEndian.PutUint16(m[offsetType:], uint16(subsystem)<<8|uint16(kind))
	m[offsetFamily] = family
	binary.NativeEndian.PutUint16(m[offsetLength:], uint16(len(m)-offsetLength))
	binary.NativeEndian.PutUint16(m[offsetLength+2:], attribute)
	for len(m)%4 != 0 {
		m = append(m, 0)
	}
	return m
}

func TestConcerns(t *testing.T) {
	const nftables, newRule, newElement, delTable, ip, inet, ip6 = 10, 6, 12, 2, 2, 1, 10
	ours := message(nftables, newRule, ip, tableName, "nat")
	others := message(nftables, newRule, ip, tableName, "filter")
	tests := []struct {
		what     string
		messages []byte
		want     bool
	}{
		{"a rule of nat", ours, true},
		{"a rule of IPv6's mangle", message(nftables, newRule, ip6, tableName, "mangle"), true},
		{"a table that went", message(nftables, delTable, ip, tableName, "nat"), true},
		{"a rule of filter", others, false},
		{"a rule of a table of both families", message(nftables, newRule, inet, tableName, "nat"), false},
		{"an element of a set", message(nftables, newElement, ip, tableName, "nat"), false},
		{"another subsystem", message(1, newRule, ip, tableName, "nat"), false},
		{"the second of two", append(append([]byte{}, others...), ours...), true},
		{"nothing", nil, false},
		{"half a message", ours[:len(ours)-4], true},
		{"no name", message(nftables, newRule, ip, tableName+1, "nat"), true},
	}
	for _, tt := range tests {
		if got := concerns(tt.messages); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.what, got, tt.want)
		}
	}
}

// FuzzConcerns: no bytes make it panic.
func FuzzConcerns(f *testing.F) {
	f.Add(message(10, 6, 2, tableName, "nat"))
	f.Fuzz(func(_ *testing.T, messages []byte) { concerns(messages) })
}
