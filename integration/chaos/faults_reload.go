package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"
)

// leastReloads is how many there are in any case, of a loop that has its time.
const leastReloads = 4

func reloadFaults() []Fault {
	var valid, invalid memo[int]
	return []Fault{
		{
			Name: "reload", What: "the MASTER and then the BACKUP reload in a loop, one real server more or less each time",
			Number: "F25", Quick: true,
			Inject: func(s *Site) (func() error, error) {
				count, err := s.loop(func(i int) error { return s.Nodes[i/2%len(s.Nodes)].reloadWith(i%2 == 0) })
				valid.keep(s, count)
				return func() error { return nil }, err
			},
			Check: reloads(&valid),
			Want:  Promise{Lossless: true, KeepsMaster: true},
		},
		{
			Name: "reload-invalid", What: "the MASTER is told to reload in a loop, each time another file that is not valid",
			Number: "F25",
			Inject: func(s *Site) (func() error, error) {
				n := s.Nodes[0]
				count, err := s.loop(func(i int) error { return n.refuses(invalidFiles[i%len(invalidFiles)]) })
				invalid.keep(s, count)
				return func() error { return n.recover() }, err
			},
			Check: reloads(&invalid),
			Want:  Promise{Lossless: true, KeepsMaster: true},
		},
	}
}

// reloads remarks on how many there were.
func reloads(count *memo[int]) func(*Site, *Result) error {
	return func(s *Site, r *Result) error {
		r.Remarks = append(r.Remarks, fmt.Sprintf("%d reloads", count.of(s)))
		return nil
	}
}

// loop calls f for as long as an election takes, and returns how often. An even
// number of calls leaves everything as it was.
func (s *Site) loop(f func(i int) error) (count int, err error) {
	for end := time.Now().Add(pastElection(s)); count%4 != 0 || count < leastReloads || time.Now().Before(end); count++ {
		if err := f(count); err != nil || s.Context().Err() != nil {
			return count, errors.Join(err, s.Context().Err())
		}
	}
	return count, nil
}

// reloadWith has the node go over to its file with one real server more, or as it
// is to be.
func (n *Node) reloadWith(more bool) error {
	c := n.Site.Config
	if more {
		c.Servers++
	}
	n.Configure(c)
	return n.Site.Contestant.Reload(n)
}

// An invalidFile is made of one that is valid, of either contestant.
type invalidFile struct {
	what string
	make func(valid string) string
}

// replaced is a file that has something else in a place.
func replaced(what, old, text string) invalidFile {
	return invalidFile{what, func(valid string) string { return strings.ReplaceAll(valid, old, text) }}
}

// noiseSeed is that of the bytes at random: the same in every run.
const noiseSeed = 7

// scheduler is the word for it in either's files.
var scheduler = regexp.MustCompile(`\brr\b`)

var invalidFiles = []invalidFile{
	replaced("an address that is none", vip, "10.99.0.999"),
	{"a scheduler that is none", func(valid string) string { return scheduler.ReplaceAllString(valid, "sideways") }},
	replaced("a virtual router that cannot be", fmt.Sprint(vrid), "70000"),
	{"no brackets that close", func(valid string) string { return strings.NewReplacer("]", "", "}", "").Replace(valid) }},
	{"a word too many at the end", func(valid string) string { return valid + "\n}}} nonsense\n" }},
	{"bytes at random", func(string) string {
		noise := make([]byte, 2000)
		random := rand.New(rand.NewPCG(noiseSeed, noiseSeed))
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		return string(noise)
	}},
	{"the file twice", func(valid string) string { return valid + valid }},
	{"half a line", func(valid string) string { return valid[:strings.LastIndex(valid, vip)+3] }},
}

// refuses has the node reload a file that is not valid. An error is that of lvsd if
// it takes the file; keepalived takes what it understands, or ends.
func (n *Node) refuses(file invalidFile) error {
	s := n.Site
	n.WriteFile(file.make(s.Contestant.Text(n, s.Config)))
	err := s.Contestant.Reload(n)
	if err == nil && s.Contestant.Name() == lvsdName {
		return fmt.Errorf("it has taken a file with %s", file.what)
	}
	return nil
}

// recover gives the node its own file again, and starts it if it has ended.
func (n *Node) recover() error {
	s := n.Site
	n.Configure(s.Config)
	err := s.Contestant.Reload(n)
	if !n.Daemon.Running() {
		n.Start()
	}
	if s.Contestant.Name() != lvsdName {
		// What it makes of its own file after all that, the desired state shows.
		return nil
	}
	return err
}
