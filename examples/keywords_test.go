package examples

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/config"
)

// fieldKeywords are the words of keepalived.conf that the field report behind
// web-farm explains or uses, by the table of docs/migration.md that has them.
var fieldKeywords = map[string]string{
	"global_defs": `notification_email notification_email_from smtp_server smtp_helo_name smtp_connect_timeout router_id
		vrrp_mcast_group4 vrrp_mcast_group6 default_interface lvs_sync_daemon id maxlen port ttl group lvs_flush
		vrrp_garp_master_delay vrrp_garp_master_repeat vrrp_garp_lower_prio_delay vrrp_garp_lower_prio_repeat
		vrrp_garp_master_refresh vrrp_garp_master_refresh_repeat vrrp_garp_interval vrrp_gna_interval
		vrrp_lower_prio_no_advert vrrp_version vrrp_check_unicast_src vrrp_skip_check_adv_addr vrrp_strict
		vrrp_iptables vrrp_priority checker_priority vrrp_no_swap checker_no_swap script_user enable_script_security`,
	"vrrp_instance": `vrrp_instance state interface use_vmac vmac_xmit_base native_ipv6 dont_track_primary
		track_interface weight track_script vrrp_script mcast_src_ip unicast_src_ip version unicast_peer
		virtual_router_id priority advert_int authentication auth_type auth_pass virtual_ipaddress brd dev scope
		label nopreempt preempt_delay notify_master notify_backup notify_fault notify notify_stop`,
	"virtual_server": `virtual_server fwmark group delay_loop lb_algo lvs_sched lb_kind lvs_method
		persistence_timeout persistence_granularity protocol ha_suspend virtualhost sorry_server
		sorry_server_inhibit alpha omega quorum quorum_up quorum_down real_server weight inhibit_on_failure
		notify_up notify_down uthreshold lthreshold`,
	"checkers": "TCP_CHECK HTTP_GET SSL_GET connect_port connect_timeout nb_get_retry delay_before_retry",
	// smtp_alert stands in instances there, and with the mails here.
	"global_defs, for all": "smtp_alert",
}

// code is what stands in backquotes.
var code = regexp.MustCompile("`([^`]+)`")

// TestKeywordsHaveAnAnswer: the document on migration has each keyword of the field
// report, and beside it a key of lvsd's, or "None" and what to do.
func TestKeywordsHaveAnAnswer(t *testing.T) {
	document := read(t, "../docs/migration.md")
	for block, list := range fieldKeywords {
		block, _, _ = strings.Cut(block, ",")
		answers := answersIn(t, document, "### Everything in "+block)
		for keyword := range strings.FieldsSeq(list) {
			if answers[keyword] == "" {
				t.Errorf("%s: %s is not in the table", block, keyword)
			}
		}
	}
}

// TestAnswersAreKeys: every key that these tables name is one that lvsd takes.
func TestAnswersAreKeys(t *testing.T) {
	keys := configurationKeys(t)
	document := read(t, "../docs/migration.md")
	for _, heading := range regexp.MustCompile(`(?m)^### Everything in .*$`).FindAllString(document, -1) {
		for keyword, answer := range answersIn(t, document, heading) {
			named := 0
			for _, match := range code.FindAllStringSubmatch(answer, -1) {
				key, _, _ := strings.Cut(match[1], " = ")
				table, _, nested := strings.Cut(key, ".")
				switch {
				case keys[key] && nested:
					named++
				case nested && keys[table]:
					t.Errorf("%s: lvsd has no key %s", keyword, key)
				}
			}
			switch none, why := strings.CutPrefix(answer, "None: "); {
			case why && len(none) < 20:
				t.Errorf("%s: %q does not say what to do", keyword, answer)
			case !why && named == 0:
				t.Errorf("%s: %q names no key of lvsd's", keyword, answer)
			}
		}
	}
}

// answersIn are the right sides of the table below the heading, by each word of the
// keywords on the left.
func answersIn(t *testing.T, document, heading string) map[string]string {
	t.Helper()
	_, section, found := strings.Cut(document, heading)
	if !found {
		t.Fatalf("no heading %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n#")
	answers := map[string]string{}
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 2 {
			continue
		}
		for _, match := range code.FindAllStringSubmatch(cells[0], -1) {
			for word := range strings.FieldsSeq(match[1]) {
				answers[word] = strings.TrimSpace(cells[1])
			}
		}
	}
	if len(answers) == 0 {
		t.Fatalf("no table below %q", heading)
	}
	return answers
}

// configurationKeys are all keys that the reader takes, with the tables they stand
// in, as "vrrp.garp.delay".
func configurationKeys(t *testing.T) map[string]bool {
	t.Helper()
	var schema any
	if err := json.Unmarshal(config.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	var walk func(value any, at string)
	walk = func(value any, at string) {
		switch value := value.(type) {
		case []any:
			for _, element := range value {
				walk(element, at)
			}
		case map[string]any:
			properties, _ := value["properties"].(map[string]any)
			for name, property := range properties {
				key := strings.TrimPrefix(at+"."+name, ".")
				keys[key] = true
				walk(property, key)
			}
			for _, name := range slices.Sorted(maps.Keys(value)) {
				if name != "properties" {
					walk(value[name], at)
				}
			}
		}
	}
	walk(schema, "")
	return keys
}
