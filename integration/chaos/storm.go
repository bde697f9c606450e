package main

import (
	"fmt"
	"net/netip"

	"github.com/lvsd/lvsd/vrrp"
)

// An advertStorm is a kind of storm, by what it sends.
type advertStorm struct {
	name, what string
	quick      bool
	forge      attack
}

// one is a storm of one advert, from the rogue's own address.
func one(edit func(*vrrp.Advert)) attack {
	return func(r *Rogue) ([]Forgery, error) {
		f, err := r.Forge(r.Address, edit)
		return []Forgery{f}, err
	}
}

// advertStorms are what a rogue may send without end. None of it gives a router a
// reason to change its role.
func advertStorms() []advertStorm {
	return []advertStorm{
		{"foreign", "adverts of another virtual router", false, one(func(a *vrrp.Advert) { a.VRID++ })},
		{"lower", "sound adverts of a priority below all", true, one(func(a *vrrp.Advert) { a.Priority = 1 })},
		{"malformed", "adverts with a wrong checksum", false, func(r *Rogue) ([]Forgery, error) {
			f, err := r.Forge(r.Address, func(*vrrp.Advert) {})
			if err == nil {
				f.Message[6] ^= 0xff
			}
			return []Forgery{f}, err
		}},
		{"spread", "sound adverts of a priority below all, each from another address", false, func(r *Rogue) ([]Forgery, error) {
			return spread(r, 1<<10)
		}},
	}
}

// spread are sound adverts from as many addresses of a network that nobody has.
func spread(r *Rogue, sources int) (all []Forgery, err error) {
	from := netip.AddrFrom4([4]byte{198, 18, 0, 1})
	for range sources {
		f, err := r.Forge(from, func(a *vrrp.Advert) { a.Priority = 1 })
		if err != nil {
			return nil, fmt.Errorf("from %v: %w", from, err)
		}
		all = append(all, f)
		from = from.Next()
	}
	return all, nil
}
