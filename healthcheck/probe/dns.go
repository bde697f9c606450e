package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// DNS asks for a name and looks at the answer (RFC 1035). It asks over UDP, and
// again over TCP when the answer was cut short.
type DNS struct {
	// Name to ask for; empty is the root.
	Name string
	// Query is the type to ask for: "A", "SOA" and so on, or "TYPE65".
	Query string
	// Rcode lists the accepted return codes by name; empty is NOERROR.
	Rcode List[string]
	// Answer is what one record of the answer must be, as dig +short writes it;
	// empty is anything, no record included.
	Answer string
	// TCP asks over TCP only.
	TCP bool
}

// Type is "dns".
func (DNS) Type() string { return "dns" }

// Validate returns what is wrong with the options.
func (k DNS) Validate() error {
	var errs []error
	if _, ok := dns.IsDomainName(dns.Fqdn(k.Name)); !ok || !isWord(k.Name) {
		errs = append(errs, fmt.Errorf("%q is not a domain name in ASCII", k.Name))
	}
	for name := range k.Rcode.All() {
		if _, ok := dns.StringToRcode[strings.ToUpper(name)]; !ok {
			errs = append(errs, fmt.Errorf("%q is not a return code such as NOERROR or NXDOMAIN", name))
		}
	}
	if _, err := dnsType(k.Query); err != nil {
		return errors.Join(append(errs, err)...)
	}
	_, err := k.expected()
	return errors.Join(append(errs, err)...)
}

// dnsType reads the name of a type, or TYPE and its number (RFC 3597 5).
func dnsType(name string) (uint16, error) {
	name = strings.ToUpper(name)
	number, known := dns.StringToType[name]
	if digits, ok := strings.CutPrefix(name, "TYPE"); ok && !known {
		n, err := strconv.ParseUint(digits, 10, 16)
		number, known = uint16(n), err == nil
	}
	switch {
	case name == "":
		return 0, errors.New("no record type to ask for")
	case !known:
		return 0, fmt.Errorf("%q is not a record type such as A or SOA, nor a number such as TYPE65", name)
	}
	switch number {
	case dns.TypeNone, dns.TypeReserved, dns.TypeOPT, dns.TypeTSIG, dns.TypeTKEY,
		dns.TypeAXFR, dns.TypeIXFR, dns.TypeMAILA, dns.TypeMAILB:
		return 0, fmt.Errorf("%q is not the type of records a name has", name)
	}
	return number, nil
}

// expected is the record that must be in the answer, with the root as its name;
// nil is none.
func (k DNS) expected() (dns.RR, error) {
	number, err := dnsType(k.Query)
	if err != nil || k.Answer == "" {
		return nil, err
	}
	text, kind := k.Answer, dns.Type(number).String()
	if number == dns.TypeTXT && !strings.Contains(text, `"`) {
		text = `"` + text + `"`
	}
	wrong := fmt.Errorf("answer %q is not a record of type %s as dig +short writes it", k.Answer, kind)
	if number == dns.TypeANY || strings.ContainsAny(text, "\r\n") {
		return nil, wrong
	}
	record, err := dns.NewRR(". 0 IN " + kind + " " + text)
	if err != nil || record == nil || record.Header().Rrtype != number {
		return nil, wrong
	}
	if unknown, ok := record.(*dns.RFC3597); ok {
		unknown.Rdata = strings.ToLower(unknown.Rdata) // as it comes from the wire
	}
	return record, nil
}

// ask asks over UDP first, unless it is not to.
func (k DNS) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	query, err := k.query()
	if err != nil {
		return answer{}, &failure{SOCKERR, err.Error()}
	}
	exchange := d.dnsOverUDP
	if k.TCP {
		exchange = d.dnsOverTCP
	}
	d.said.sent(dnsQuestion(query))
	reply, err := exchange(ctx, to, query)
	if err == nil && reply.Truncated && !k.TCP {
		d.said.did("cut short: again over TCP")
		reply, err = d.dnsOverTCP(ctx, to, query)
	}
	if err != nil {
		return answer{}, err
	}
	d.said.receivedDNS(reply)
	return k.judge(reply)
}

func (k DNS) query() (*dns.Msg, error) {
	number, err := dnsType(k.Query)
	if err != nil {
		return nil, err
	}
	query := new(dns.Msg).SetQuestion(dns.Fqdn(k.Name), number)
	query.SetEdns0(maxDNSDatagram, false)
	return query, nil
}

// judge looks at a reply to the query.
func (k DNS) judge(reply *dns.Msg) (answer, error) {
	rcode := dnsRcode(reply.Rcode)
	if !k.accepts(reply.Rcode) {
		return answer{}, &failure{L7STS, "reply: " + rcode}
	}
	seen := fmt.Sprintf("%s, %d records", rcode, len(reply.Answer))
	if len(reply.Answer) == 1 {
		seen = fmt.Sprintf("%s, %s", rcode, shortRecord(reply.Answer[0]))
	}
	want, err := k.expected()
	if err != nil {
		return answer{}, &failure{SOCKERR, err.Error()}
	}
	if want == nil {
		return answer{seen: seen}, nil
	}
	for _, record := range reply.Answer {
		if sameRecord(record, want) {
			return answer{seen: rcode + ", " + shortRecord(record)}, nil
		}
	}
	return answer{}, &failure{L7STS, fmt.Sprintf("reply: no record is %s: %s", shortRecord(want), seen)}
}

func (k DNS) accepts(rcode int) bool {
	for name := range k.Rcode.All() {
		if dns.StringToRcode[strings.ToUpper(name)] == rcode {
			return true
		}
	}
	return rcode == dns.RcodeSuccess && k.Rcode.Len() == 0
}

func dnsRcode(n int) string {
	if n == dns.RcodeBadVers { // and BADSIG, of transactions, which this is not
		return "BADVERS"
	}
	return cmp.Or(dns.RcodeToString[n], "RCODE"+strconv.Itoa(n))
}

// sameRecord reports whether what a says is what b says; names are not case
// sensitive.
func sameRecord(a, b dns.RR) bool {
	a = dns.Copy(a)
	a.Header().Name, a.Header().Class = b.Header().Name, b.Header().Class
	return dns.IsDuplicate(a, b)
}

// shortRecord is what r says, as dig +short writes it.
func shortRecord(r dns.RR) string {
	if unknown, ok := r.(*dns.RFC3597); ok {
		return fmt.Sprintf(`\# %d %s`, len(unknown.Rdata)/2, unknown.Rdata)
	}
	return strings.TrimSpace(strings.TrimPrefix(r.String(), r.Header().String()))
}
