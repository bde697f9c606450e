package config

import (
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// dnsRoot is a name that every server can be asked for.
const dnsRoot = "."

func readDNS(t *table) probe.DNS {
	rcodes, whole := readList(t, "rcode", kinds.rcode, `["NOERROR"]`)
	wantElements(t, "rcode", rcodes, whole)
	failed := t.failed
	k := probe.DNS{
		Name:   read(t, "name", kinds.dnsName).or(dnsRoot),
		Query:  read(t, "query", kinds.dnsQuery).or("SOA"),
		Rcode:  probe.ListOf(plain(rcodes)...),
		Answer: read(t, "answer", kinds.literal).orElse("", "anything"),
		TCP:    read(t, "tcp", kinds.boolean).or(false),
	}
	if k.Answer != "" && t.failed == failed {
		failEach(t, t.at("answer"), probe.DNS{Name: dnsRoot, Query: k.Query, Answer: k.Answer}.Validate())
	}
	return k
}

func readUDP(t *table) probe.UDP {
	u := probe.UDP{
		Payload:   readBytes(t, "payload"),
		Reply:     read(t, "reply", kinds.replyPattern).orElse("", "anything"),
		Required:  read(t, "reply_required", kinds.boolean).or(false),
		MinLength: read(t, "reply_min", kinds.datagram).or(0),
		MaxLength: read(t, "reply_max", kinds.datagram).or(0),
	}
	if u.MaxLength > 0 && u.MinLength > u.MaxLength {
		t.fail(t.at("reply_min"), "%d is above reply_max, %d, expected at most that", u.MinLength, u.MaxLength)
	}
	return u
}
