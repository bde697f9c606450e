package ipvs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/moby/ipvs"
	"golang.org/x/sys/unix"
)

// The generic netlink controller, which every kernel has.
const (
	controller       = unix.GENL_ID_CTRL
	commandGetFamily = unix.CTRL_CMD_GETFAMILY
)

// TestSocketTimeout asks for nothing and without acknowledgement, so that the
// kernel stays silent; then asks again on the socket that replaces the first.
func TestSocketTimeout(t *testing.T) {
	s := socket{timeout: 10 * time.Millisecond}
	defer s.close()
	const noop = unix.NLMSG_NOOP
	_, err := s.request(noop, 0, 0, nil)
	if err := (operation{name: opInfo}).failed(err); !errors.Is(err, ErrTimeout) {
		t.Errorf("no answer: error %v, want ErrTimeout", err)
	}
	if s.handle != nil {
		t.Error("the socket is kept after a timeout")
	}
	s.timeout = time.Minute
	body := appendAttribute(nil, unix.CTRL_ATTR_FAMILY_NAME, []byte("nlctrl\x00"))
	answer, err := s.get(controller, commandGetFamily, body)
	if err != nil || len(answer) == 0 {
		t.Errorf("after the timeout: %d bytes, error %v", len(answer), err)
	}
}

func TestSocketDump(t *testing.T) {
	s := socket{timeout: time.Minute}
	defer s.close()
	families, err := s.dump(controller, commandGetFamily, nil)
	if err != nil || len(families) < 1 {
		t.Errorf("%d families, error %v", len(families), err)
	}
	if _, err := s.get(0xffff, 1, nil); !errors.Is(err, unix.ENOENT) {
		t.Errorf("unknown family: error %v, want ENOENT", err)
	}
}

func TestLookupFamily(t *testing.T) {
	if id, err := lookupFamily("nlctrl"); err != nil || id != controller {
		t.Errorf("family %d, error %v, want %d", id, err, controller)
	}
	if _, err := lookupFamily("LVSD-NONE"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable", err)
	}
}

// TestLibraryTimeout asks moby/ipvs until the deadline ends its patience.
func TestLibraryTimeout(t *testing.T) {
	_, _ = preflight() // the library looks for IPVS once, so it had better be there
	h, err := ipvs.New("")
	fatal(t, err)
	l := library{timeout: 10 * time.Millisecond, handle: h}
	err = l.call(func(h *ipvs.Handle) error {
		for {
			_, err := h.GetService(&ipvs.Service{})
			if err == nil || strings.Contains(err.Error(), "closed") {
				return err
			}
		}
	})
	if !errors.Is(err, ErrTimeout) || l.handle != nil {
		t.Errorf("error %v, handle %v, want ErrTimeout and none", err, l.handle)
	}
}

// TestWithoutIPVS shows that a kernel without IPVS is noticed by us, and that
// moby/ipvs, which would report success for everything, is not trusted there.
func TestWithoutIPVS(t *testing.T) {
	need(t, "no-ipvs")
	if _, err := Open(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable", err)
	}
	l := library{timeout: time.Minute}
	defer l.close()
	if err := l.call((*ipvs.Handle).Flush); !errors.Is(err, ErrReloaded) {
		t.Errorf("error %v, want ErrReloaded", err)
	}
}
