package command

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// identity is whom a command runs as; the zero value is this process's user.
type identity struct {
	credential *syscall.Credential
}

// owners are the users whose files the identity may run, besides root: a file
// of its own gives nobody more than he has.
func (i identity) owners() []uint32 {
	all := []uint32{0, uint32(os.Geteuid())}
	if i.credential != nil {
		all = append(all, i.credential.Uid)
	}
	return all
}

// ParseUser returns what is wrong with a user as written: it must be a name, or
// "uid:gid" in numbers, which need not be in the user database, or a uid alone,
// which must. Whether the user exists is seen when the command runs.
func ParseUser(text string) error {
	if id, group, ok := strings.Cut(text, ":"); ok {
		_, err := numeric(id, group)
		return err
	}
	if text == "" || strings.ContainsAny(text, " \t\n/\x00") {
		return fmt.Errorf("user %q is neither a name nor uid:gid", text)
	}
	return nil
}

// lookUp finds the user in the databases, at every run: they may change.
func lookUp(text string) (identity, error) {
	if text == "" {
		return identity{}, nil
	}
	if id, group, ok := strings.Cut(text, ":"); ok {
		credential, err := numeric(id, group)
		return identity{credential}, err
	}
	found, err := user.Lookup(text)
	if _, notNumber := strconv.ParseUint(text, 10, 32); err != nil && notNumber == nil {
		found, err = user.LookupId(text)
	}
	if err != nil {
		return identity{}, fmt.Errorf("look up user %s: %w", text, err)
	}
	credential, err := numeric(found.Uid, found.Gid)
	if err != nil {
		return identity{}, err
	}
	groups, err := found.GroupIds()
	if err != nil {
		return identity{}, fmt.Errorf("look up groups of user %s: %w", text, err)
	}
	for _, group := range groups {
		id, err := strconv.ParseUint(group, 10, 32)
		if err != nil {
			return identity{}, fmt.Errorf("group %q of user %s is not a number", group, text)
		}
		credential.Groups = append(credential.Groups, uint32(id))
	}
	return identity{credential}, nil
}

// numeric is a user without further groups.
func numeric(id, group string) (*syscall.Credential, error) {
	uid, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %q: uid is not a number", id+":"+group)
	}
	gid, err := strconv.ParseUint(group, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %q: gid is not a number", id+":"+group)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
