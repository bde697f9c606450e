package integration

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/integration/relay"
)

// imported is a configuration with what makes a difference in the kernel's table.
// Of the real servers 10.99.0.11 is there, 10.99.0.99 is not.
const imported = `
vrrp_instance VI_1 {
    state MASTER
    interface %[1]s
    virtual_router_id 51
    priority 100
    virtual_ipaddress {
        %[2]s
    }
}
virtual_server_group pages {
    %[2]s 8080
    %[2]s 8081
}
# A server that fails stays with weight 0.
virtual_server %[2]s %[3]s {
    delay_loop 1
    alpha
    lb_algo wlc
    lb_kind DR
    protocol TCP
    inhibit_on_failure
    real_server 10.99.0.11 %[3]s {
        TCP_CHECK {
            connect_timeout 1
        }
    }
    real_server 10.99.0.99 %[3]s {
        weight 2
        TCP_CHECK {
            connect_timeout 1
        }
    }
}
# Persistence, thresholds, other ports, and a sorry server that is not needed.
virtual_server %[2]s 80 {
    delay_loop 1
    lb_algo wrr
    lb_kind NAT
    protocol TCP
    persistence_timeout 600
    persistence_granularity 255.255.255.0
    sorry_server 10.99.0.12 80
    real_server 10.99.0.11 8080 {
        weight 3
        uthreshold 1000
        lthreshold 800
        TCP_CHECK {
            connect_port %[3]s
        }
    }
    real_server 10.99.0.13 80 {
    }
}
# A quorum that is not met: the sorry server alone.
virtual_server %[2]s 443 {
    delay_loop 1
    alpha
    quorum 2
    lb_algo rr
    lb_kind DR
    protocol TCP
    sorry_server 10.99.0.12 443
    real_server 10.99.0.11 443 {
        TCP_CHECK {
            connect_port %[3]s
            connect_timeout 1
        }
    }
    real_server 10.99.0.99 443 {
        TCP_CHECK {
            connect_timeout 1
        }
    }
}
# UDP, and a method of its own.
virtual_server %[2]s 53 {
    lb_algo sh
    sh-port
    sh-fallback
    lb_kind DR
    real_server 10.99.0.11 53 {
        lvs_method TUN
    }
}
virtual_server fwmark 5 {
    lb_kind DR
    persistence_timeout
    real_server 10.99.0.11 {
    }
}
virtual_server group pages {
    lb_algo lc
    lb_kind DR
    protocol TCP
    real_server 10.99.0.11 8080 {
    }
}
`

// TestImport: the kernel's table is the same under keepalived and under lvsd with
// the imported file.
func TestImport(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS, lab.NeedKeepalived)
	t.Parallel()
	s := newSegment(t)
	n := s.addNode("director", "10.99.0.1")
	serveEcho(t, s.addNode("server", "10.99.0.11"), func(net.Conn) string { return "" })
	path := filepath.Join(s.lab.Dir(n.Name), "keepalived.conf")
	if err := os.WriteFile(path, fmt.Appendf(nil, imported, lab.LinkName, hostVIP, echoPort), 0o600); err != nil {
		t.Fatal(err)
	}
	var theirs []string
	s.stage("keepalived", func(t *testing.T) {
		daemon := n.Start(lab.Command{Name: "keepalived", Args: []string{
			"keepalived", "-n", "-l", "-D", "-f", path,
			"-p", path + ".pid", "-r", path + ".vrrp.pid", "-c", path + ".checkers.pid",
		}})
		s.lab.WaitFor("keepalived to know its servers", func() error {
			theirs = savedTable(s, n)
			for _, part := range []string{"10.99.0.11:" + echoPort + " -g -w 1", "10.99.0.99:" + echoPort + " -g -w 0", "10.99.0.12:443"} {
				if !strings.Contains(strings.Join(theirs, "\n"), part) {
					return fmt.Errorf("no %s in\n%s\n%s", part, strings.Join(theirs, "\n"), daemon.Output())
				}
			}
			return nil
		})
		if err := daemon.Stop(); err != nil {
			t.Logf("keepalived ended: %v", err)
		}
		t.Logf("keepalived's table:\n%s", strings.Join(theirs, "\n"))
	})
	s.stage("lvsd with the imported file", func(t *testing.T) {
		file := filepath.Join(s.lab.Dir(n.Name), "imported.toml")
		out, err := n.Try(relay.Binary(t), "import", "-o", file, path)
		if err != nil {
			t.Fatalf("import: %v\n%s", err, out)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		n.write(string(text))
		n.start()
		s.lab.WaitFor("lvsd's table to be keepalived's", func() error {
			if diff := cmp.Diff(theirs, savedTable(s, n)); diff != "" {
				return errors.New(diff)
			}
			return nil
		})
		out, err = n.Try(relay.Binary(t), "import", "--check", path)
		if err != nil || !strings.Contains(out, " 0 different") {
			t.Errorf("import --check: %v\n%s", err, out)
		}
		n.stop()
	})
}

// savedTable is the kernel's table as ipvsadm saves it, in alphabetical order.
func savedTable(s *segment, n *node) []string {
	s.Helper()
	lines := strings.Split(strings.TrimSpace(n.Run("ipvsadm", "-Sn")), "\n")
	slices.Sort(lines)
	return lines
}
