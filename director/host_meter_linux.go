package director

import (
	"context"
	"sync"

	"github.com/lvsd/lvsd/director/ipvs"
)

// meter reads counters by a socket of its own: a listing of thousands of services
// must not keep the director's own changes waiting.
type meter struct {
	mu     sync.Mutex
	client *ipvs.Client
}

// Count implements Meter. IPVS is opened when it is first asked.
func (h *Host) Count(context.Context) ([]ipvs.ServiceEntry, error) {
	return h.meter.read()
}

func (m *meter) read() ([]ipvs.ServiceEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.client == nil {
		client, err := ipvs.Open()
		if err != nil {
			return nil, err
		}
		m.client = client
	}
	return m.client.Services()
}

func (m *meter) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.client == nil {
		return nil
	}
	return m.client.Close()
}
