package keepalived

import (
	"net/netip"
	"strings"
	"time"
)

// checkers are the keywords of checkers, with what each adds to the options that
// all have; nil has none of those either.
var checkers = map[string]func() vocabulary[Checker]{
	"TCP_CHECK":  plainChecker,
	"PING_CHECK": plainChecker,
	"SMTP_CHECK": smtpChecker,
	"HTTP_GET":   httpChecker,
	"SSL_GET":    httpChecker,
	"DNS_CHECK":  dnsChecker,
	"MISC_CHECK": miscChecker,
	"UDP_CHECK":  udpChecker,
	"FILE_CHECK": fileChecker,
	"BFD_CHECK":  bfdChecker,
}

func readChecker(r *reading, s *Statement, kind string) *Checker {
	c := &Checker{origin: origin{head: s}, Kind: kind}
	readAll(r, s.Block, checkers[kind](), c)
	return c
}

// plainChecker are the options of every checker that connects.
func plainChecker() vocabulary[Checker] {
	v := timedChecker()
	v["connect_ip"] = addressOf(func(c *Checker) *netip.Addr { return &c.ConnectIP })
	v["connect_port"] = numberOf(func(c *Checker) *int { return &c.ConnectPort }, 1, 65535)
	v["bindto"] = addressOf(func(c *Checker) *netip.Addr { return &c.BindTo })
	v["bind_if"] = textOf(func(c *Checker) *string { return &c.BindIf })
	v["bind_port"] = numberOf(func(c *Checker) *int { return &c.BindPort }, 1, 65535)
	v["fwmark"] = numberOf(func(c *Checker) *int { return &c.Mark }, 1, 1<<32-1)
	return v
}

func timedChecker() vocabulary[Checker] {
	v := vocabulary[Checker]{
		"alpha":            optionalTruth(func(c *Checker) **bool { return &c.Timing.Alpha }),
		"log_all_failures": none[Checker]("lvsd explain has the last 20 results"),
		"nb_get_retry":     optionalNumber(func(c *Checker) **int { return &c.Timing.Retry }, 0, 1<<30),
	}
	timingEntries(v, func(c *Checker) *Timing { return &c.Timing }, 0)
	return v
}

func smtpChecker() vocabulary[Checker] {
	v := plainChecker()
	v["helo_name"] = textOf(func(c *Checker) *string { return &c.HeloName })
	v["host"] = entry[Checker]{words: -1, again: adds, read: func(r *reading, s *Statement, c *Checker) {
		host := &Checker{origin: origin{head: s}, Kind: "SMTP_CHECK"}
		readAll(r, s.Block, plainChecker(), host)
		c.Hosts = append(c.Hosts, host)
	}}
	return v
}

func httpChecker() vocabulary[Checker] {
	v := plainChecker()
	v["virtualhost"] = textOf(func(c *Checker) *string { return &c.VirtualHost })
	v["http_protocol"] = textOf(func(c *Checker) *string { return &c.Protocol })
	v["fast_recovery"] = none[Checker]("all requests are made in each probe, and one success brings the server up")
	v["enable_sni"] = truthOf(func(c *Checker) *bool { return &c.EnableSNI })
	v["sni_name"] = textOf(func(c *Checker) *string { return &c.SNI })
	v["url"] = entry[Checker]{words: -1, again: adds, read: func(r *reading, s *Statement, c *Checker) {
		u := &URL{origin: origin{head: s}}
		readAll(r, s.Block, urlVocabulary(), u)
		if u.Path == "" {
			r.lostWith(s, "the url has no path; keepalived ignores it")
			return
		}
		c.URLs = append(c.URLs, u)
	}}
	return v
}

func urlVocabulary() vocabulary[URL] {
	return vocabulary[URL]{
		"path":        textOf(func(u *URL) *string { return &u.Path }),
		"digest":      textOf(func(u *URL) *string { return &u.Digest }),
		"virtualhost": textOf(func(u *URL) *string { return &u.VirtualHost }),
		"status_code": {words: anyWords, read: func(_ *reading, s *Statement, u *URL) { u.Status = s.Words[1:] }},
		"regex": {words: anyWords, read: func(r *reading, s *Statement, u *URL) {
			words := s.escaped()
			if len(words) != 2 {
				r.broken(s, "regex: expected one expression, in quotes if it has spaces")
			}
			if len(words) > 1 {
				u.Regex = words[1]
			}
		}},
		"regex_no_match":   truthOf(func(u *URL) *bool { return &u.NoMatch }),
		"regex_options":    {words: anyWords, read: func(_ *reading, s *Statement, u *URL) { u.Options = s.Words[1:] }},
		"regex_stack":      none[URL]("expressions need no stack of their own"),
		"regex_min_offset": lost[URL]("the whole of the first 64 KiB is searched"),
		"regex_max_offset": lost[URL]("the whole of the first 64 KiB is searched"),
		"tls_compliant":    none[URL]("a server that ends TLS without its farewell is accepted where the body has its own end"),
	}
}

func dnsChecker() vocabulary[Checker] {
	v := plainChecker()
	v["type"] = textOf(func(c *Checker) *string { return &c.Query })
	v["name"] = textOf(func(c *Checker) *string { return &c.Name })
	return v
}

func miscChecker() vocabulary[Checker] {
	v := timedChecker()
	v["misc_path"] = scriptOf(func(c *Checker) **Script { return &c.Script })
	v["misc_timeout"] = entry[Checker]{read: func(r *reading, s *Statement, c *Checker) {
		// 0 is none, so the check has until the next one.
		if n, ok := r.integer(s, 0, 4294); ok && n > 0 {
			d := time.Duration(n) * time.Second
			c.MiscTimeout = &d
		}
	}}
	v["misc_dynamic"] = truthOf(func(c *Checker) *bool { return &c.Dynamic })
	v["user"] = entry[Checker]{words: 2, read: func(r *reading, s *Statement, c *Checker) {
		if c.User = r.text(s); s.word(2) != "" {
			r.differs(s, "user: lvsd takes the group %q from the user", s.word(2))
		}
	}}
	return v
}

func udpChecker() vocabulary[Checker] {
	v := plainChecker()
	hexadecimal := func(s *Statement) string { return strings.Join(s.Words[1:], " ") }
	v["payload"] = entry[Checker]{words: anyWords, read: func(_ *reading, s *Statement, c *Checker) { c.Payload = hexadecimal(s) }}
	v["require_reply"] = entry[Checker]{words: anyWords, read: func(_ *reading, s *Statement, c *Checker) {
		c.ReplyRequired, c.Reply = true, hexadecimal(s)
	}}
	v["min_reply_length"] = optionalNumber(func(c *Checker) **int { return &c.MinReply }, 0, 65507)
	v["max_reply_length"] = optionalNumber(func(c *Checker) **int { return &c.MaxReply }, 0, 65507)
	return v
}

func fileChecker() vocabulary[Checker] {
	return vocabulary[Checker]{
		"track_file": textOf(func(c *Checker) *string { return &c.File }),
		"weight": lost[Checker](
			"the file holds the weight itself, or up or down"),
		"dynamic": none[Checker]("the file holds the weight itself"),
	}
}

func bfdChecker() vocabulary[Checker] {
	return vocabulary[Checker]{
		"name":  textOf(func(c *Checker) *string { return &c.Name }),
		"alpha": none[Checker]("there is no such check"),
	}
}
