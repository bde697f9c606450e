package web

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookAgain is how often the files of a certificate are looked at, at most.
const lookAgain = time.Second

// keyPair is a certificate in files that are read again when they change.
type keyPair struct {
	certificate, key string
	log              *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	looked time.Time
	// read are the files as they were when they were last read.
	read [2]fileMark
}

// fileMark tells that a file has changed.
type fileMark struct {
	modified time.Time
	size     int64
}

// load reads the files. The error says which cannot be used.
func (k *keyPair) load() error {
	marks, err := k.marks()
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(k.certificate, k.key)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", k.certificate, k.key, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pair, k.read, k.looked = &pair, marks, time.Now()
	return nil
}

func (k *keyPair) marks() (marks [2]fileMark, err error) {
	for i, name := range []string{k.certificate, k.key} {
		info, statErr := os.Stat(name)
		if statErr != nil {
			err = errors.Join(err, statErr)
			continue
		}
		marks[i] = fileMark{info.ModTime(), info.Size()}
	}
	return marks, err
}

// get is for tls.Config. A file that cannot be used leaves the certificate in place
// that was there before: its two files do not change at one moment.
func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if k.changed() {
		if err := k.load(); err != nil {
			k.log.Warn("the page keeps its old certificate", "err", err)
		} else {
			k.log.Info("the page has a new certificate", "certificate", k.certificate)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pair, nil
}

// changed reports whether the files are others than those read, which it looks at
// seldom.
func (k *keyPair) changed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.looked) < lookAgain {
		return false
	}
	k.looked = time.Now()
	marks, err := k.marks()
	return err == nil && marks != k.read
}

// names reports whether the certificate is for the host name; a nil keyPair has
// none.
func (k *keyPair) names(host string) bool {
	if k == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pair.Leaf != nil && k.pair.Leaf.VerifyHostname(host) == nil
}
