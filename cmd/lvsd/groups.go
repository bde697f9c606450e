package main

import "github.com/spf13/cobra"

// commandGroups are how the root's help sorts the commands, by what people are about
// to do.
var commandGroups = []struct {
	id, title string
	commands  []string
}{
	{"operate", "Operate:", []string{"run", "reload", "confirm", "server", "service", "maintenance", "check-now", "vrrp"}},
	{"see", "See:", []string{"status", "top", "events", "explain", "list", "adverts", "doctor"}},
	{"configure", "Configure:", []string{"check", "plan", "apply", "probe", "hash-password", "schema"}},
	{"migrate", "Migrate:", []string{"import"}},
}

// sortIntoGroups puts every command of the root into its group. Those of none, such as
// help, are listed last.
func sortIntoGroups(root *cobra.Command) {
	groupOf := map[string]string{}
	for _, group := range commandGroups {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
		for _, name := range group.commands {
			groupOf[name] = group.id
		}
	}
	for _, command := range root.Commands() {
		command.GroupID = groupOf[command.Name()]
	}
}
