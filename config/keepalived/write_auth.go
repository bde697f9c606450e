package keepalived

import (
	"encoding/hex"
	"strings"
)

func (w *writing) auth(t *table, i *Instance, version int) {
	if i.HMAC != nil {
		w.hmac(t, i.HMAC)
	}
	at := i.at["authentication"]
	switch {
	case at == nil:
	case version != 2:
		w.broken(at, "version 3 has no passwords; keepalived ignores the authentication. auth with type \"hmac-sha256\" signs adverts")
	case i.AuthType == "PASS" && i.AuthPass != "":
		a := t.sub("[auth]", at)
		a.set("type", "pass", nil)
		password := i.AuthPass
		if len(password) > 8 {
			password = password[:8]
			w.differs(at, "auth_pass has %d bytes; an advert has room for 8, and keepalived sends these alone, so they are the password here", len(i.AuthPass))
		}
		a.set("password", password, nil)
	case i.AuthType == "AH":
		w.lost(at, "auth_type AH: lvsd does not speak IPSEC; auth with type \"hmac-sha256\" signs adverts. A node with AH and one without do not understand each other, so change all in one go")
	default:
		w.broken(at, "authentication needs auth_type PASS and auth_pass; keepalived goes on without any")
	}
}

func (w *writing) hmac(t *table, h *HMAC) {
	a := t.sub("[auth]", h.head)
	a.set("type", "hmac-sha256", nil)
	if h.Active > 0 {
		a.set("active_key", h.Active, h.at["active_key"])
	}
	if h.Window > 0 {
		a.set("window", h.Window, h.at["time_window"])
	}
	switch h.Mode {
	case "", "enforce":
	case "permissive":
		a.set("mode", "permissive", h.at["mode"])
	default:
		w.lost(h.at["mode"], "mode %s: lvsd has enforce and permissive; with permissive, active_key = 0 sends no signature", h.Mode)
	}
	for _, k := range h.Keys {
		key := a.sub("[[keys]]", h.at["key"])
		key.set("id", k.ID, nil)
		if file, ok := strings.CutPrefix(k.Secret, "file:"); ok {
			key.set("secret_file", file, nil)
			continue
		}
		secret := strings.TrimPrefix(k.Secret, "ascii:")
		if digits, ok := strings.CutPrefix(secret, "hex:"); ok {
			if b, err := hex.DecodeString(digits); err == nil {
				secret = "hex:" + hex.EncodeToString(b)
			}
		}
		key.set("secret", secret, nil)
	}
}
