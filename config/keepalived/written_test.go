package keepalived

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// rich has every keyword that has a field of its own.
const rich = `
global_defs {
 router_id r
 vrrp_version 3
 vrrp_mcast_group4 224.0.0.99
 vrrp_mcast_group6 ff02::99
 default_interface eth4
 vrrp_garp_master_delay 7
 vrrp_garp_master_refresh 70
 vrrp_garp_master_repeat 7
 vrrp_min_garp
 vrrp_startup_delay 3
 v3_checksum_as_v2
 vrrp_check_unicast_src
 lvs_sync_daemon eth1 VI_1 id 7 maxlen 1400 port 8848 ttl 3 group 224.0.0.81
 lvs_timeouts tcp 900 tcpfin 30 udp 31
 notification_email {
  a@example.com
 }
 notification_email_from b@example.com
 smtp_server 192.0.2.25 25
 smtp_alert
 script_user nobody
 notify_fifo /run/lvsd/f
}
interface_up_down_delays {
 eth0 3 20
 eth3 4 5
}
static_ipaddress {
 192.0.2.77/24 dev eth6
}
vrrp_script s {
 script "/bin/true"
 interval 2
 timeout 3
 weight 5 reverse
 rise 2
 fall 3
 user mail
}
track_process p {
 process x
 weight 6 reverse
 quorum 2
 fork_delay 3
 terminate_delay 4
}
track_file f {
 file /f
 weight 7 reverse
}
vrrp_instance VI_1 {
 state BACKUP
 interface eth0
 virtual_router_id 1
 priority 90
 version 2
 advert_int 2
 authentication {
  auth_type PASS
  auth_pass secret
 }
 virtual_ipaddress {
  192.0.2.1/24 brd 192.0.2.255 dev eth5 scope link label eth5:1
 }
 virtual_ipaddress_excluded {
  192.0.2.9
 }
 virtual_routes {
  198.51.100.0/24 via 192.0.2.254 dev eth0 src 192.0.2.1 scope link table 5 metric 6 onlink
 }
 virtual_rules {
  from 10.0.0.0/8 to 10.1.0.0/16 iif eth0 oif eth1 table 5 fwmark 3 priority 100
 }
 preempt_delay 5
 unicast_src_ip 192.0.2.251
 mcast_dst_ip 224.0.0.98
 unicast_peer {
  192.0.2.252 min_ttl 254
 }
 check_unicast_src
 garp_master_delay 3
 garp_master_refresh 30
 garp_master_repeat 3
 track_interface {
  eth3 weight 2 reverse
 }
 track_script {
  s
 }
 notify_master /bin/m root
 notify_backup /bin/b
 notify_fault /bin/f
 notify_stop /bin/s
 notify /bin/a
 smtp_alert
}
vrrp_instance VI_2 {
 interface eth0
 virtual_router_id 2
 version 3
 nopreempt
 v3_checksum_as_v2 off
 lvs_sync_daemon_interface eth1
 virtual_ipaddress {
  192.0.2.2
 }
 auth_hmac {
  key 1 ascii:secretsecretsecret
  key 2 ascii:secretsecretsecreT
  active_key 1
  time_window 3
  mode permissive
 }
}
vrrp_instance VI_3 {
 interface eth0
 virtual_router_id 3
 virtual_ipaddress {
  2001:db8::1
 }
}
vrrp_sync_group G {
 group {
  VI_2
  VI_3
 }
 sync_group_tracking_weight
 smtp_alert
 track_process {
  p
 }
 notify_master /bin/gm
}
virtual_server_group g {
 192.0.2.1-2 443
 fwmark 3 inet
}
virtual_server group g {
 protocol TCP
 lb_kind TUN type gue port 6080 csum
 real_server 192.0.2.11 443 {
  weight 2
 }
}
virtual_server 192.0.2.66 82 {
 protocol TCP
 real_server 192.0.2.11 82 {
 }
}
virtual_server fwmark 9 {
 ip_family inet
 lb_algo sh
 sh-port
 real_server 192.0.2.11 0 {
 }
}
virtual_server 192.0.2.1 80 {
 protocol TCP
 lb_kind DR
 lb_algo wrr
 alpha
 omega
 inhibit_on_failure
 quorum 2
 hysteresis 1
 quorum_up /bin/up root
 quorum_down /bin/down
 persistence_timeout 300
 persistence_granularity 255.255.255.0
 persistence_engine sip
 virtualhost v.example.com
 weight 3
 smtp_alert
 delay_loop 7
 connect_timeout 4
 delay_before_retry 2
 warmup 3
 retry 4
 sorry_server 192.0.2.99 80
 sorry_server_inhibit
 sorry_server_lvs_method NAT
 real_server 192.0.2.11 80 {
  weight 4
  lvs_method TUN
  uthreshold 20
  lthreshold 10
  inhibit_on_failure
  notify_up /bin/u
  notify_down /bin/d
  virtualhost s.example.com
  SSL_GET {
   connect_ip 192.0.2.111
   connect_port 8443
   bindto 192.0.2.250
   bind_port 1025
   fwmark 4
   http_protocol 1.0
   virtualhost c.example.com
   enable_sni
   sni_name n.example.com
   url {
    path /a
    digest 640205b7b0fc66c1ea91c463fac6334d
    virtualhost u.example.com
    status_code 200
    regex x
    regex_no_match
    regex_options caseless
   }
  }
  SMTP_CHECK {
   helo_name h
   bind_if eth1
   host {
    connect_ip 192.0.2.112
   }
  }
  DNS_CHECK {
   type A
   name example.com
  }
  MISC_CHECK {
   misc_path "/bin/misc"
   misc_timeout 3
   misc_dynamic
   user mail
  }
  UDP_CHECK {
   payload 41
   require_reply 42
   min_reply_length 1
   max_reply_length 9
  }
  FILE_CHECK {
   track_file f
  }
 }
}
virtual_server 192.0.2.1 53 {
 protocol UDP
 ops
 real_server 192.0.2.11 53 {
 }
}
`

// sparse leaves to the defaults what rich sets.
var sparse = []string{`
global_defs {
 vrrp_version 3
 vrrp_min_garp
 v3_checksum_as_v2
 vrrp_check_unicast_src
 default_interface eth4
 notification_email {
  a@example.com
 }
 smtp_server 192.0.2.25
}
vrrp_instance VI_1 {
 interface eth0
 virtual_router_id 1
 virtual_ipaddress {
  192.0.2.1
 }
 virtual_rules {
  iif eth0 table 5 inet6
 }
 unicast_peer {
  192.0.2.252
 }
}
virtual_server 192.0.2.1 80 {
 protocol TCP
 virtualhost v.example.com
 real_server 192.0.2.11 80 {
  HTTP_GET {
   url {
    path /
   }
  }
 }
 real_server 192.0.2.12 80 {
  virtualhost v.example.com
  HTTP_GET {
   virtualhost v.example.com
   url {
    path /
   }
  }
 }
}
`, `
global_defs {
 default_interface eth4
}
static_ipaddress {
 192.0.2.1/24 dev eth6
}
virtual_server 192.0.2.1 80 {
 protocol TCP
 real_server 192.0.2.11 80 {
 }
}
`, `
global_defs {
 default_interface eth4
}
virtual_server 192.0.2.1 80 {
 protocol TCP
 real_server 192.0.2.11 80 {
 }
}
`}

// harmless are the fields that the writer need not look at, and why.
var harmless = map[string]string{
	"VirtualServer.Weight": "the reader gives it to the real servers",
}

// TestEveryFieldIsWritten: what is read is in the result or in a note. Each field of
// what was read is changed by itself, and the result must follow, somewhere.
func TestEveryFieldIsWritten(t *testing.T) {
	used := map[string]bool{}
	for _, text := range append([]string{rich}, sparse...) {
		findUsed(t, text, used)
	}
	for name, is := range used {
		if !is && harmless[name] == "" {
			t.Errorf("%s is read and makes no difference", name)
		}
	}
	if len(used) < 150 {
		t.Errorf("only %d fields", len(used))
	}
}

// findUsed marks the fields of what the text says that make a difference.
func findUsed(t *testing.T, configuration string, used map[string]bool) {
	t.Helper()
	o := absent().withDefaults()
	var c *Configuration
	text := func() (out string) {
		// A value that no reader makes may have no statement to report. That is no use.
		defer func() {
			if recover() != nil {
				out = ""
			}
		}()
		n := new(notebook)
		w := write(c, n, "rich.conf", o)
		w.notes = n.notes
		return string(w.render())
	}
	tree := parse(readLines(File{Name: "rich.conf", Text: []byte(configuration)}, o, new(notebook)), new(notebook))
	c = readConfiguration(tree, new(notebook), o)
	before := text()
	if before == "" || text() != before {
		t.Fatalf("the writer changes what was read, or fails: %s", before)
	}
	var walk func(v reflect.Value, name string)
	walk = func(v reflect.Value, name string) {
		block := v.Kind() == reflect.Pointer && strings.HasSuffix(name, "[]") // never nil
		if !used[name] && !block && len(changes(v)) > 0 {
			used[name] = false
			for _, other := range changes(v) {
				was := reflect.New(v.Type()).Elem()
				was.Set(v)
				v.Set(other)
				after := text()
				used[name] = used[name] || after != "" && after != before
				v.Set(was)
			}
		}
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() && v.Type().Elem().Kind() == reflect.Struct && v.Type() != reflect.TypeFor[*Statement]() {
				walkFields(v.Elem(), walk)
			}
		case reflect.Slice:
			for n := range v.Len() {
				walk(v.Index(n), name+"[]")
			}
		case reflect.Struct:
			walkFields(v, walk)
		}
	}
	walkFields(reflect.ValueOf(c).Elem(), walk)
}

// walkFields visits the exported fields of the model's own structs.
func walkFields(v reflect.Value, visit func(v reflect.Value, name string)) {
	if !strings.HasSuffix(v.Type().PkgPath(), "config/keepalived") {
		return
	}
	for n := range v.NumField() {
		if f := v.Type().Field(n); f.IsExported() {
			visit(v.Field(n), v.Type().Name()+"."+f.Name)
		}
	}
}

// changes are other values of the same type.
func changes(v reflect.Value) []reflect.Value {
	some := func(values ...any) (all []reflect.Value) {
		for _, value := range values {
			all = append(all, reflect.ValueOf(value).Convert(v.Type()))
		}
		return all
	}
	switch value := v.Interface().(type) {
	case time.Duration:
		return some(value+2*time.Second, value/2)
	case netip.Addr:
		// The next one: a range must not become large.
		if value.IsValid() {
			return some(value.Next())
		}
		return some(netip.MustParseAddr("203.0.113.7"))
	case netip.AddrPort:
		return some(netip.MustParseAddrPort("203.0.113.7:7"))
	case netip.Prefix:
		return some(netip.MustParsePrefix("203.0.113.7/27"))
	}
	switch v.Kind() {
	case reflect.String:
		return some(v.String()+"x", "", "MASTER", "1.1", "tcp", "udp", "hex:41")
	case reflect.Bool:
		return some(!v.Bool())
	case reflect.Int:
		return some(v.Int()+1, v.Int()-1, 0, 300)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return some(v.Uint()+1, 0)
	case reflect.Slice:
		if v.Len() > 0 {
			return []reflect.Value{v.Slice(0, v.Len()-1)}
		}
	case reflect.Map:
		return []reflect.Value{reflect.Zero(v.Type())}
	case reflect.Pointer:
		all := []reflect.Value{reflect.Zero(v.Type())}
		if v.Type().Elem().Kind() == reflect.Struct {
			return all
		}
		zero := reflect.New(v.Type().Elem())
		from := v
		if v.IsNil() {
			from = zero
		}
		for _, changed := range changes(from.Elem()) {
			p := reflect.New(v.Type().Elem())
			p.Elem().Set(changed)
			all = append(all, p)
		}
		return append(all, zero)
	}
	return nil
}
