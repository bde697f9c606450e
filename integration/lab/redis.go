package lab

import "strconv"

// StartRedis starts the store, which wants the password unless that is empty.
func (h *Host) StartRedis(port uint16, password string) *Daemon {
	h.lab.t.Helper()
	number := strconv.Itoa(int(port))
	return h.Start(Command{
		Name: "redis " + number,
		Args: []string{
			"redis-server", "--port", number, "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "",
			"--dir", h.lab.Dir(h.Name, "redis"), "--requirepass", password,
		},
	})
}
