package config

import (
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// requestKeys are the keys of one request, in the check itself or in one of
// its tables [[request]].
var requestKeys = []string{"path", "method", "headers", "status", "contains", "regex", "not_regex", "digest"}

func readHTTP(t *table, secure bool) probe.HTTP {
	h := probe.HTTP{
		Secure:   secure,
		Version:  read(t, "http_version", kinds.httpVersion).or("1.1"),
		Host:     readHost(t, kinds.httpHost),
		Requests: readRequests(t),
		Follow:   read(t, "follow", kinds.follow).or(0),
	}
	h.Username, h.Password = readLogin(t, "username", kinds.username, "the check has a password too")
	if secure {
		h.TLS = readTLS(t)
	}
	return h
}

// readHost reads the name of the server in its own protocol.
func readHost(t *table, k kind[string]) string {
	return read(t, "host", k).orElse("", "the target's address")
}

// readRequests reads the tables [[request]], or the one request that the keys
// of the check are.
func readRequests(t *table) probe.List[probe.HTTPRequest] {
	single := readRequest(t)
	requests := readTables(t, "request", func(t *table) probe.HTTPRequest {
		defer t.close()
		failed := t.failed
		r := readRequest(t)
		if t.failed == failed {
			failEach(t, t.path(), probe.HTTP{Requests: probe.ListOf(r)}.Validate())
		}
		return r
	})
	if !wantEither(t, "request", requestKeys, len(requests)) {
		return probe.ListOf(single)
	}
	return probe.ListOf(requests...)
}

// wantEither reports whether the check has the tables, of which there are so
// many, and what is there of the keys beside them.
func wantEither(t *table, tables string, keys []string, n int) bool {
	if !t.has(tables) {
		return false
	}
	for _, key := range keys {
		if t.has(key) {
			t.failKey(t.at(key), "the check has a %s too, expected it there, in [[%s]]", tables, t.path().key(tables).name())
		}
	}
	if elements, ok := elementsOf(t.raw(tables)); ok && len(elements) == 0 && n == 0 {
		t.fail(t.at(tables), "is empty, expected at least one element or no %s", tables)
	}
	return true
}

func readRequest(t *table) probe.HTTPRequest {
	headers, _ := readList(t, "headers", kinds.header, "[]")
	return probe.HTTPRequest{
		Path:     read(t, "path", kinds.request).or("/"),
		Method:   read(t, "method", kinds.method).or("GET"),
		Headers:  probe.ListOf(plain(headers)...),
		Status:   readCodes(t, "status", "200-299", `["200-299"]`),
		Contains: read(t, "contains", kinds.literal).orElse("", "anything"),
		Regex:    read(t, "regex", kinds.regex).orElse("", "anything"),
		NotRegex: read(t, "not_regex", kinds.regex).orElse("", "nothing"),
		Digest:   read(t, "digest", kinds.digest).orElse("", "anything"),
	}
}

func readGRPC(t *table) probe.GRPC {
	g := probe.GRPC{
		Service: read(t, "service", kinds.word).orElse("", "the server as a whole"),
		Host:    readHost(t, kinds.httpHost),
		Secure:  read(t, "tls", kinds.boolean).or(false),
	}
	g.TLS = readTLSIf(t, g.Secure, "tls = true")
	return g
}
