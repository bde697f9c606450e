package lab

import (
	"context"
	"net"
	"net/http"
)

// Get asks for a URL as a program in the host does. The answer's body is read outside.
func (h *Host) Get(ctx context.Context, url string) (*http.Response, error) {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
			err = h.Do(func() error {
				conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
				return err
			})
			return conn, err
		},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return transport.RoundTrip(request)
}
