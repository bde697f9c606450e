package main

import (
	"strings"
	"testing"
)

func TestInOrder(t *testing.T) {
	for _, c := range []struct {
		told, roles string
		ok          bool
	}{
		{"", "", true},
		{"FAULT BACKUP MASTER", "FAULT BACKUP MASTER", true},
		{"FAULT MASTER", "FAULT BACKUP MASTER", true},
		{"MASTER BACKUP", "MASTER BACKUP", true},
		{"FAULT BACKUP", "FAULT BACKUP MASTER", false},
		{"", "MASTER", false},
		{"BACKUP FAULT MASTER", "FAULT BACKUP MASTER", false},
		{"MASTER MASTER", "MASTER", true},
		{"MASTER BACKUP MASTER", "MASTER BACKUP", false},
		{"FAULT BACKUP MASTER", "", false},
	} {
		if err := inOrder(strings.Fields(c.told), strings.Fields(c.roles)); (err == nil) != c.ok {
			t.Errorf("told %q of %q: %v", c.told, c.roles, err)
		}
	}
}
