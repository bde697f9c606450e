package probe

import (
	"strings"
	"syscall"
)

// NoDescriptors reports whether the probe was not carried out because this
// process, or the host, had no file descriptor left. The text tells, as not all
// that a probe uses keeps the error; that of a SOCKERR is this host's own.
func (r Result) NoDescriptors() bool {
	return r.Code == SOCKERR && strings.Contains(r.Reason, syscall.EMFILE.Error())
}
