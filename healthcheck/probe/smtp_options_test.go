package probe

import (
	"strings"
	"testing"
)

func TestSMTPValidate(t *testing.T) {
	for _, good := range []SMTP{
		{},
		{HeloName: "director.example", Security: StartTLS, Username: "a b", Password: "päss wörd"},
		{Security: Implicit, TLS: TLS{Insecure: true}},
		{From: "probe@example.org", To: "postmaster@example.org", Greeting: "220", Hello: "250", Mail: "250, 450", Recipient: "250-251"},
		{To: "postmaster"},
		{HeloName: strings.Repeat("x", maxHeloName), To: strings.Repeat("x", maxMailbox)},
		{Username: strings.Repeat("x", maxSecret), Password: strings.Repeat("x", maxSecret)},
	} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for name, test := range map[string]struct {
		kind SMTP
		want string
	}{
		"two words":          {SMTP{HeloName: "a b"}, `helo name "a b" must be one word of printable ASCII, at most 255 bytes`},
		"two lines":          {SMTP{HeloName: "a\r\nQUIT"}, `helo name "a\r\nQUIT" must be one word`},
		"long name":          {SMTP{HeloName: strings.Repeat("x", maxHeloName+1)}, "helo name "},
		"unknown security":   {SMTP{Security: "ssl"}, `security "ssl" must be "starttls", "tls" or empty`},
		"TLS":                {SMTP{Security: Implicit, TLS: TLS{MinVersion: "0.9"}}, "0.9"},
		"two senders":        {SMTP{From: "a>\r\nRCPT TO:<b", To: "x"}, `from "a>\r\nRCPT TO:<b" must be an address`},
		"parameter":          {SMTP{To: "a> ORCPT=x"}, `to "a> ORCPT=x" must be an address in printable ASCII, without spaces and brackets`},
		"brackets":           {SMTP{To: "<postmaster>"}, `to "<postmaster>" must be an address`},
		"long address":       {SMTP{To: strings.Repeat("x", maxMailbox+1)}, "to "},
		"beyond ASCII":       {SMTP{To: "postmäster"}, "must be an address in printable ASCII"},
		"from alone":         {SMTP{From: "a@b"}, `from "a@b" does nothing without to`},
		"user alone":         {SMTP{Username: "tim"}, "username and password go together"},
		"password alone":     {SMTP{Password: "secret"}, "username and password go together"},
		"password in lines":  {SMTP{Username: "tim", Password: "a\nb"}, "password must be UTF-8 without control characters, at most 255 bytes"},
		"zero byte":          {SMTP{Username: "tim\x00", Password: "b"}, "username must be UTF-8 without control characters"},
		"long password":      {SMTP{Username: "tim", Password: strings.Repeat("x", maxSecret+1)}, "password must be"},
		"not UTF-8":          {SMTP{Username: "\xff", Password: "b"}, "username must be"},
		"greeting":           {SMTP{Greeting: "2xx"}, `greeting: reply codes such as 250-251 were expected: status list "2xx": "2xx" is not a status code`},
		"hello":              {SMTP{Hello: "250-"}, "hello: reply codes"},
		"mail":               {SMTP{To: "x", Mail: "251-250"}, "mail: reply codes"},
		"recipient":          {SMTP{To: "x", Recipient: "20"}, "recipient: reply codes"},
		"recipient is not":   {SMTP{Recipient: "250"}, "reply codes for mail and recipient do nothing without to"},
		"mail is not either": {SMTP{Mail: "250"}, "reply codes for mail and recipient do nothing without to"},
	} {
		err := test.kind.Validate()
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one with %q", name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells the password: %v", name, err)
		}
	}
	all := SMTP{HeloName: "a b", Security: "ssl", From: "<", To: "<", Username: "\n", Greeting: "x", Hello: "x", Mail: "x", Recipient: "x"}.Validate()
	if got := len(strings.Split(all.Error(), "\n")); got != 10 {
		t.Errorf("%d reasons, want 10:\n%v", got, all)
	}
}
