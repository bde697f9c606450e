// Package keepalived reads keepalived.conf and writes the same as TOML, with a note
// for everything that has no counterpart. It must not know the running system: it
// reads the files that it is given and nothing else.
package keepalived
