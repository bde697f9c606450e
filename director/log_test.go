package director

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/director/ipvs"
)

// TestManyOperationsAreSummedUp: the first are told of one by one, the rest by
// kind, and at level debug each of them too.
func TestManyOperationsAreSummedUp(t *testing.T) {
	var ops []Op
	key := farm(1, 1).Services[0].IPVS.ServiceKey
	for n := range logLimit + 50 {
		address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 80)
		ops = append(ops, EditRealServer{key, ipvs.Destination{Address: address}})
	}
	ops = append(ops, DeleteService{key}, DeleteService{key})
	for _, test := range []struct {
		level   slog.Level
		few     bool
		lines   int
		summary bool
	}{
		{slog.LevelInfo, false, logLimit + 2, true},
		{slog.LevelDebug, false, logLimit + 52 + 2, true},
		{slog.LevelInfo, true, logLimit, false},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			log := &syncBuffer{}
			d := &Director{Options: Options{Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: test.level}))}}
			told := ops
			if test.few {
				told = ops[:logLimit]
			}
			d.logRepaired(told, NewState())
			text := log.String()
			if got := strings.Count(text, "\n"); got != test.lines {
				t.Errorf("%d lines, want %d", got, test.lines)
			}
			for _, line := range []string{
				`level=WARN msg="repaired what somebody else changed" kind=EditRealServer more=50`,
				`level=WARN msg="repaired what somebody else changed" kind=DeleteService more=2`,
			} {
				if strings.Contains(text, line) != test.summary {
					t.Errorf("%q: want %v in\n%s", line, test.summary, text)
				}
			}
		})
	}
}
