package config

import (
	"errors"
	"slices"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// The types of check.
const (
	checkTCP    = "tcp"
	checkSMTP   = "smtp"
	checkHTTP   = "http"
	checkHTTPS  = "https"
	checkDNS    = "dns"
	checkUDP    = "udp"
	checkPing   = "ping"
	checkGRPC   = "grpc"
	checkScript = "script"
	checkFile   = "file"
	checkBanner = "banner"
)

// checkTypes are all of them, in the order of messages.
var checkTypes = []string{
	checkTCP, checkSMTP, checkHTTP, checkHTTPS, checkDNS, checkUDP,
	checkPing, checkGRPC, checkScript, checkFile, checkBanner,
}

// readKindOf reads the options of the type.
func readKindOf(t *table, name string) probe.Kind {
	switch name {
	case checkTCP:
		return probe.TCP{}
	case checkSMTP:
		return readSMTP(t)
	case checkHTTP, checkHTTPS:
		return readHTTP(t, name == checkHTTPS)
	case checkDNS:
		return readDNS(t)
	case checkUDP:
		return readUDP(t)
	case checkPing:
		return probe.Ping{Size: read(t, "size", kinds.pingSize).or(56)}
	case checkGRPC:
		return readGRPC(t)
	case checkScript:
		return readScriptCheck(t)
	case checkFile:
		return probe.File{Path: read(t, "file", kinds.file).required()}
	case checkBanner:
		return readBanner(t)
	}
	return nil
}

// checkOptions are the keys that only some types of check have.
var checkOptions = newCheckOptions()

func newCheckOptions() options[string] {
	o := make(options[string])
	of := func(types []string, keys ...string) {
		for _, key := range keys {
			o[key] = types
		}
	}
	web := []string{checkHTTP, checkHTTPS}
	of(allBut(checkPing, checkFile), "port")
	of(allBut(checkFile), "connect_to")
	of(allBut(checkScript, checkFile), "bind_address", "interface", "mark")
	of([]string{checkSMTP}, "helo_name", "mail_from", "rcpt_to", "greeting_code", "helo_code", "mail_code", "rcpt_code")
	of([]string{checkSMTP, checkHTTP, checkHTTPS}, "username", "password", "password_file")
	of([]string{checkSMTP, checkBanner}, "security")
	of(web, "request", "http_version", "follow")
	of(web, requestKeys...)
	of([]string{checkHTTP, checkHTTPS, checkGRPC}, "host")
	of([]string{checkSMTP, checkHTTPS, checkGRPC, checkBanner}, tlsKeys...)
	of([]string{checkDNS}, "name", "query", "rcode", "answer", "tcp")
	of([]string{checkUDP}, "payload", "payload_hex", "reply", "reply_required", "reply_min", "reply_max")
	of([]string{checkPing}, "size")
	of([]string{checkGRPC}, "service", "tls")
	of([]string{checkScript}, "command", "user", "dynamic")
	of([]string{checkFile}, "file")
	of([]string{checkBanner}, "step")
	of([]string{checkBanner}, stepKeys...)
	return o
}

// allBut are the types of check without some.
func allBut(types ...string) []string {
	return slices.DeleteFunc(slices.Clone(checkTypes), func(t string) bool { return slices.Contains(types, t) })
}

// failEach reports each of the errors that are joined in err.
func failEach(t *table, at path, err error) {
	for _, err := range apart(err) {
		t.fail(at, "%s", err)
	}
}

// apart are the errors that are joined in err, without what is said of all.
func apart(err error) (all []error) {
	if err == nil {
		return nil
	}
	joined, ok := err.(joinedErrors)
	if !ok {
		joined, ok = errors.Unwrap(err).(joinedErrors)
	}
	if !ok {
		return []error{err}
	}
	for _, err := range joined.Unwrap() {
		all = append(all, apart(err)...)
	}
	return all
}

// joinedErrors is what errors.Join makes.
type joinedErrors interface{ Unwrap() []error }
