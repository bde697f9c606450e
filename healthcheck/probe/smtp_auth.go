package probe

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
)

// mechanism is a way to tell a server who one is (RFC 4954).
type mechanism struct {
	name string
	// initial says the first response with the command, before any challenge.
	initial   bool
	responses []func(user, password string, challenge []byte) string
}

// mechanisms in the order in which they are taken. PLAIN is the one that
// servers know for certain; none of them needs to hide anything, as TLS does.
func mechanisms() []mechanism {
	username := func(user, _ string, _ []byte) string { return user }
	password := func(_, password string, _ []byte) string { return password }
	return []mechanism{
		{"PLAIN", true, []func(string, string, []byte) string{plainResponse}},
		{"LOGIN", false, []func(string, string, []byte) string{username, password}},
		{"CRAM-MD5", false, []func(string, string, []byte) string{cramMD5Response}},
	}
}

// plainResponse is of RFC 4616.
func plainResponse(user, password string, _ []byte) string { return "\x00" + user + "\x00" + password }

// cramMD5Response is of RFC 2195.
func cramMD5Response(user, password string, challenge []byte) string {
	mac := hmac.New(md5.New, []byte(password))
	mac.Write(challenge)
	return user + " " + hex.EncodeToString(mac.Sum(nil))
}

// authenticate says who this is in a way that the server offers.
func (c *smtpClient) authenticate(user, password string) error {
	for _, m := range mechanisms() {
		if slices.Contains(c.offers.auth, m.name) {
			return c.carryOut(m, user, password)
		}
	}
	offered := "no mechanism"
	if len(c.offers.auth) > 0 {
		offered = strings.Join(c.offers.auth, " ")
	}
	return &failure{L7STS, "AUTH: the server offers " + offered + ", expected PLAIN, LOGIN or CRAM-MD5"}
}

func (c *smtpClient) carryOut(m mechanism, user, password string) error {
	step, responses := "AUTH "+m.name, m.responses
	command, shown := step, step
	if m.initial {
		command += " " + c.encode(responses[0](user, password, nil))
		shown, responses = step+" ...", responses[1:]
	}
	if err := c.sayAs(step, command, shown); err != nil {
		return err
	}
	for _, respond := range responses {
		r, err := c.expect(step, "334")
		if err != nil {
			return err
		}
		challenge, err := r.challenge(m)
		if err != nil {
			return err
		}
		if err := c.sayAs(step, c.encode(respond(user, password, challenge)), "..."); err != nil {
			return err
		}
	}
	_, err := c.expect(step, "235")
	return err
}

// encode is a response as it is written. It is not shown, should the server repeat
// it.
func (c *smtpClient) encode(response string) string {
	encoded := base64.StdEncoding.EncodeToString([]byte(response))
	c.said.conceal(encoded)
	return encoded
}

// secrets are what no server may have shown, whichever mechanism it offers: it
// may repeat what it heard on an earlier connection.
func (k SMTP) secrets() []string {
	encoded := base64.StdEncoding.EncodeToString
	plain := plainResponse(k.Username, k.Password, nil)
	if k.Username == "" {
		return nil
	}
	return []string{k.Password, encoded([]byte(k.Password)), encoded([]byte(plain))}
}

// challenge is what the server asks. That of LOGIN is a prompt, which servers
// word and encode as they like.
func (r smtpReply) challenge(m mechanism) ([]byte, error) {
	if m.name == "LOGIN" {
		return nil, nil
	}
	challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(r.line[len("334"):]))
	if err != nil {
		return nil, &failure{L7RSP, "AUTH " + m.name + ": the challenge is not base64: " + r.line}
	}
	return challenge, nil
}
