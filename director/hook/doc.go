// Package hook runs the notify commands of one VRRP instance, sync group or
// virtual service: in order, never two at once, and only the latest change of
// one thing when they come faster than commands end. It must not know VRRP, the
// kernel or configuration files.
//
// Package command runs them, with a clean environment and bounded time here.
package hook
