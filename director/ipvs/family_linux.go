package ipvs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	familyName = "IPVS"
	// modprobeTimeout bounds the attempt to load the module at the start.
	modprobeTimeout = 30 * time.Second
)

// preflight makes sure that the kernel has IPVS, loading the module if it must,
// and returns the number of its netlink family. It comes before any use of
// moby/ipvs, which without IPVS reports success for everything.
func preflight() (uint16, error) {
	family, err := lookupFamily(familyName)
	if !errors.Is(err, ErrUnavailable) {
		return family, err
	}
	said := loadModule()
	family, err = lookupFamily(familyName)
	if errors.Is(err, ErrUnavailable) && said != nil {
		return 0, fmt.Errorf("%w (%w)", err, said)
	}
	return family, err
}

// lookupFamily asks the kernel for the number of a netlink family, which changes
// each time the module is loaded.
func lookupFamily(name string) (uint16, error) {
	family, err := netlink.GenlFamilyGet(name)
	switch {
	case errors.Is(err, unix.ENOENT):
		return 0, ErrUnavailable
	case err != nil:
		return 0, fmt.Errorf("look up netlink family %s: %w", name, err)
	default:
		return family.ID, nil
	}
}

// loadModule tries to load ip_vs. Whether that worked is for lookupFamily to
// say: the module may be built in, and modprobe missing.
func loadModule() error {
	ctx, cancel := context.WithTimeout(context.Background(), modprobeTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, modprobePath(), "ip_vs")
	command.WaitDelay = time.Second
	out, err := command.CombinedOutput()
	if err == nil {
		return nil
	}
	if line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n")); len(line) > 0 {
		return errors.New(string(line))
	}
	return fmt.Errorf("modprobe ip_vs: %w", err)
}

// modprobePath also finds modprobe where PATH does not lead: a service's PATH
// may lack the directories for administrators.
func modprobePath() string {
	for _, name := range []string{"modprobe", "/sbin/modprobe", "/usr/sbin/modprobe"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return "modprobe"
}
