package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// The program is run again with these set, to be a client inside a host.
const (
	helperVariable = "LVSD_LAB_HELPER"
	configVariable = "LVSD_LAB_CONFIG"
)

// helpers are the clients that a program with this package can be.
var helpers = map[string]func(ctx context.Context, config []byte) error{
	smtpHelper: serveSMTPLoad,
}

// Main must be called first by a program that uses labs: in TestMain, or in
// main. It returns unless the program was started to be a client.
func Main() {
	name := os.Getenv(helperVariable)
	if name == "" {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	helper, found := helpers[name]
	if !found {
		fmt.Fprintf(os.Stderr, "%s=%s: no such helper\n", helperVariable, name)
		os.Exit(2)
	}
	if err := helper(ctx, []byte(os.Getenv(configVariable))); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// helperCommand is the command that runs this program as a helper.
func helperCommand(name string, config any) (Command, error) {
	exe, err := os.Executable()
	if err != nil {
		return Command{}, err
	}
	b, err := json.Marshal(config)
	if err != nil {
		return Command{}, err
	}
	return Command{
		Name: name,
		Args: []string{exe},
		Env:  []string{helperVariable + "=" + name, configVariable + "=" + string(b)},
	}, nil
}
