package ipvs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

const (
	familyName = "IPVS"
	// modprobeTimeout bounds an attempt to load the module.
	modprobeTimeout = 30 * time.Second
)

// find makes sure that the number of IPVS's netlink family is known, loading
// the module if it must and can.
func (c *Client) find() error {
	if c.family != 0 {
		return nil
	}
	family, err := c.socket.lookup(familyName)
	if errors.Is(err, ErrUnavailable) {
		said := loadModule()
		family, err = c.socket.lookup(familyName)
		if errors.Is(err, ErrUnavailable) && said != nil {
			err = fmt.Errorf("%w (%w)", err, said)
		}
	}
	c.family = family
	return err
}

// lookAgain tells whether the number of the family is another than it was: it
// changes each time the module is loaded. Where there is no such family any
// more, the next request looks for it again.
func (c *Client) lookAgain() (moved bool, err error) {
	old := c.family
	c.family, err = c.socket.lookup(familyName)
	return c.family != old, err
}

// request makes a request of IPVS, and once more if the first one went to a
// family that is not IPVS's any more.
func (c *Client) request(make func(family uint16) error) error {
	if err := c.find(); err != nil {
		return err
	}
	err := make(c.family)
	if !isAstray(err) {
		return err
	}
	moved, lookup := c.lookAgain()
	switch {
	case lookup != nil:
		return lookup
	case moved:
		return make(c.family)
	default:
		return err
	}
}

// lookup asks the kernel for the number of a netlink family. It returns
// ErrUnavailable if there is none of that name.
func (s *socket) lookup(name string) (uint16, error) {
	var number uint16
	err := s.get(request{
		family:  unix.GENL_ID_CTRL,
		command: unix.CTRL_CMD_GETFAMILY,
		body:    func(b []byte) []byte { return appendText(b, unix.CTRL_ATTR_FAMILY_NAME, name) },
	}, func(attributes []byte) error {
		r := readAttributes(attributes)
		for r.next() {
			if r.kind == unix.CTRL_ATTR_FAMILY_ID {
				number = r.uint16()
			}
		}
		return r.err
	})
	switch {
	case errors.Is(err, unix.ENOENT):
		return 0, ErrUnavailable
	case err != nil:
		return 0, fmt.Errorf("look up netlink family %s: %w", name, err)
	case number == 0:
		return 0, fmt.Errorf("look up netlink family %s: %w: no number", name, errMalformed)
	}
	return number, nil
}

// loadModule tries to load ip_vs. Whether that worked is for lookup to say: the
// module may be built in, and modprobe missing.
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
