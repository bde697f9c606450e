package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
)

// canRunDirectly tells whether this machine can be its own test machine: root,
// and IPVS in the kernel or loadable.
func canRunDirectly(ctx context.Context) bool {
	if os.Geteuid() != 0 {
		return false
	}
	if ipvsLoaded() {
		return true
	}
	_ = exec.CommandContext(ctx, "modprobe", "ip_vs").Run()
	return ipvsLoaded()
}

func ipvsLoaded() bool {
	_, err := os.Stat("/proc/net/ip_vs")
	return err == nil
}

// runDirectly runs the program here and returns its exit status. One runs at a
// time: there is one kernel, whose modules a test may unload.
func (o options) runDirectly(ctx context.Context, args []string) (int, error) {
	unlock, err := lock(ctx, o.cache, "here")
	if err != nil {
		return 0, err
	}
	defer unlock()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), o.publish.environment(loopback)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}
