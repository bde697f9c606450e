package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/director"
)

func TestOrderArrives(t *testing.T) {
	s, cookie, token := admin(t)
	post := func(path, body string) (int, director.Spread) {
		w := ask(s, "POST", path, body, header("Cookie", cookie), header(tokenHeader, token))
		var spread director.Spread
		_ = json.Unmarshal(w.Body.Bytes(), &spread)
		return w.Code, spread
	}
	code, spread := post("/v1/orders", `{"target":{"service":"mail","server":"192.0.2.11:25"},"state":"drain","reason":"<b>new disk</b>","for_ns":3600000000000,"by":"root"}`)
	if code != http.StatusOK || len(spread.Told) != 1 || spread.Untold["relay3"] == "" {
		t.Errorf("answer %d %+v", code, spread)
	}
	scene := s.source.(*scene)
	got := scene.ordered()[0]
	if got.State != director.Drain || got.Reason != "<b>new disk</b>" || got.For != time.Hour || got.By != "web:alice@127.0.0.1" {
		t.Errorf("order %+v", got)
	}
	code, spread = post("/v1/orders/clear", `{"target":{"service":"mail","server":"192.0.2.11:25"}}`)
	if code != http.StatusOK || !spread.Override.Cleared || len(scene.cleared) != 1 {
		t.Errorf("clearing: %d %+v", code, spread)
	}
	for body, want := range map[string]int{
		``:   http.StatusBadRequest,
		`{}`: http.StatusBadRequest,
		`[]`: http.StatusBadRequest,
		`{"target":{"node":"relay1"},"state":"drain"}`:                                                        http.StatusBadRequest,
		`{"target":{"service":"mail"},"state":"drain","secret":1}`:                                            http.StatusBadRequest,
		`{"target":{"service":"mail"},"state":"drain"} {}`:                                                    http.StatusBadRequest,
		`{"target":{"service":"mail"},"state":"drain","for_ns":-1}`:                                           http.StatusBadRequest,
		`{"target":{"service":"mail"},"state":"drain","for_ns":9223372036854775807}`:                          http.StatusBadRequest,
		`{"target":{"service":"mail"},"state":"drain","reason":"a\nb"}`:                                       http.StatusBadRequest,
		`{"target":{"service":"mail"},"state":"drain","reason":"` + strings.Repeat("ü", reasonLimit+1) + `"}`: http.StatusBadRequest,
		`{"target":{"service":"mail"},"state":"drain","reason":"` + strings.Repeat("ü", reasonLimit) + `"}`:   http.StatusOK,
		`{"target":{"service":"mail","server":"unknown"},"state":"drain"}`:                                    http.StatusNotFound,
	} {
		if code, _ := post("/v1/orders", body); code != want {
			t.Errorf("%.80s: %d, want %d", body, code, want)
		}
	}
}
