package hook

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestGroupEvent(t *testing.T) {
	env, err := exec.LookPath("env")
	if err != nil {
		t.Fatal(err)
	}
	echo, err := exec.LookPath("echo")
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, Commands{Master: []string{env}, Any: []string{echo, "exact"}})
	b.Notify(Event{Group: "firewall", RouterID: "mx1", State: Master, Previous: Backup, Reason: "inside: master down"})
	specific, general := <-b.results, <-b.results
	var told []string
	for line := range strings.Lines(specific.Output) {
		if strings.HasPrefix(line, "LVSD_") {
			told = append(told, strings.TrimSpace(line))
		}
	}
	want := []string{
		"LVSD_GROUP=firewall", "LVSD_PREVIOUS_STATE=BACKUP", "LVSD_REASON=inside: master down",
		"LVSD_ROUTER_ID=mx1", "LVSD_STATE=MASTER",
	}
	if !slices.Equal(told, want) {
		t.Errorf("variables %q, want %q", told, want)
	}
	if want := "exact GROUP firewall MASTER 0"; general.Output != want {
		t.Errorf("arguments %q, want %q", general.Output, want)
	}
}
