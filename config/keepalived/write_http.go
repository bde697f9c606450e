package keepalived

import (
	"cmp"
	"net"
	"regexp"
	"strconv"
	"strings"
)

func (w *writing) http(t *table, v *VirtualServer, s *RealServer, c *Checker, urls []*URL) {
	host := cmp.Or(c.VirtualHost, s.VirtualHost, v.VirtualHost)
	if len(urls) > 0 {
		host = cmp.Or(urls[0].VirtualHost, host)
	}
	if host != "" {
		t.set("host", host, nil)
	}
	if c.Kind == "SSL_GET" {
		t.set("tls_verify", false, nil).explain("keepalived looks at no certificate")
		w.serverName(t, c, host)
	}
	switch c.Protocol {
	case "", "1.0", "1.0C", "1.0c":
		t.set("http_version", "1.0", c.at["http_protocol"])
	case "1.1":
	default:
		w.broken(c.at["http_protocol"], "http_protocol %q is unknown, expected 1.0, 1.0C or 1.1", c.Protocol)
	}
	switch len(urls) {
	case 0:
		w.broken(c.head, "%s has no url; lvsd asks for /", c.Kind)
	case 1:
		w.url(t, urls[0])
	default:
		for _, u := range urls {
			w.url(t.sub("[[request]]", u.head), u)
		}
	}
}

// serverName writes which name is said in TLS. keepalived says one only where it is
// told to, lvsd always where there is one.
func (w *writing) serverName(t *table, c *Checker, host string) {
	name := c.SNI
	if name == "" && c.EnableSNI {
		name = host
		if h, _, err := net.SplitHostPort(host); err == nil {
			name = h
		}
	}
	if name != "" {
		t.set("tls_name", name, c.from("sni_name", "enable_sni"))
	}
	if c.SNI != "" && !c.EnableSNI {
		w.differs(c.from("sni_name"), "sni_name %s: keepalived says no name in TLS without enable_sni, lvsd does", c.SNI)
	}
}

var hexDigest = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)

func (w *writing) url(t *table, u *URL) {
	path := cmp.Or(u.Path, "/")
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	t.set("path", path, u.at["path"])
	if status := w.status(u); status != nil {
		t.set("status", raw("["+strings.Join(status, ", ")+"]"), u.at["status_code"])
	}
	switch {
	case u.Digest == "":
	case hexDigest.MatchString(u.Digest):
		t.set("digest", "md5:"+strings.ToLower(u.Digest), u.at["digest"])
	default:
		w.broken(u.at["digest"], "digest %q is not 32 hexadecimal digits", u.Digest)
	}
	if u.Regex == "" {
		return
	}
	key := "regex"
	if u.NoMatch {
		key = "not_regex"
	}
	expression := w.expression(u)
	if _, err := regexp.Compile(expression); err != nil {
		w.lost(u.at["regex"], "regex: lvsd's expressions are RE2, which does not know this one (%v); write it in other words, or use contains", err)
		return
	}
	t.set(key, expression, u.at["regex"])
}

// expression is the regular expression with its options.
func (w *writing) expression(u *URL) string {
	letters := map[string]string{"caseless": "i", "dotall": "s", "multiline": "m", "ungreedy": "U"}
	flags := ""
	for _, o := range u.Options {
		switch letter := letters[o]; {
		case letter != "":
			flags += letter
		case o == "utf", o == "ucp", o == "dollar_endonly", o == "no_auto_capture", strings.HasPrefix(o, "no_"), strings.HasPrefix(o, "never_"):
		default:
			w.lost(u.at["regex_options"], "regex_options %s: RE2 has no such option", o)
		}
	}
	if flags != "" {
		return "(?" + flags + ")" + u.Regex
	}
	return u.Regex
}

// status are the elements of the list of codes.
func (w *writing) status(u *URL) []string {
	var all []string
	code := func(text string) bool { n, err := strconv.Atoi(text); return err == nil && n >= 100 && n <= 599 }
	for _, word := range u.Status {
		first, last, isRange := strings.Cut(word, "-")
		switch {
		case !isRange && code(first):
			all = append(all, first)
		case isRange && code(first) && code(last) && first <= last:
			all = append(all, quote(word))
		default:
			w.broken(u.at["status_code"], "status_code: %q is neither a code nor a range 100..599", word)
		}
	}
	return all
}
