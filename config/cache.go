package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// Cache is for a daemon, which reads the same file again and again. It has the
// virtual services of the file as it last was: one whose text is the same is
// not read again, and its real servers are those of the Config before, in the
// same memory. Configs must not be changed for that reason. What a service must
// not share with others is checked every time.
//
// The zero Cache has read nothing. It is not for several goroutines at a time.
type Cache struct {
	// node is who the pieces were read for: a default depends on it.
	node string
	// pieces are without problems.
	pieces []piece
}

// Load is the Load of the package, and gives the same.
func (c *Cache) Load(path, node string) (*Config, error) {
	data, warnings, err := readConfiguration(path)
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	cfg, err := c.Parse(path, data, node)
	if err == nil {
		cfg.Warnings = warnings
	}
	return cfg, err
}

// Parse is the Parse of the package, and gives the same.
func (c *Cache) Parse(name string, data []byte, node string) (*Config, error) {
	doc, err := decode(name, data)
	if err != nil {
		return nil, err
	}
	cfg, err := c.config(doc, node)
	if err != nil {
		return nil, err
	}
	cfg.Hash, err = HashOf(bytes.NewReader(data))
	return cfg, err
}

// HashOf is the Hash of a configuration with this text.
func HashOf(text io.Reader) (string, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, text); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

// config is the document's. The cache stays as it is where that has problems.
func (c *Cache) config(doc *document, node string) (*Config, error) {
	if node == c.node {
		doc.pieces = match(c.pieces, doc.services)
	}
	cfg, err := doc.config(node)
	if err == nil {
		c.node, c.pieces = node, doc.pieces
	}
	for _, p := range c.pieces {
		p.service.reader = nil // which has the document
	}
	return cfg, err
}

// match finds the old piece of each text, each for one text only. The others
// are empty. Most of a file stays where it is: what is the same at its start and
// its end is found without a search.
func match(old []piece, texts [][]byte) []piece {
	matched := make([]piece, len(texts))
	front := 0
	for front < min(len(old), len(texts)) && old[front].text == string(texts[front]) {
		matched[front] = old[front]
		front++
	}
	end, oldEnd := len(texts), len(old)
	for min(end, oldEnd) > front && old[oldEnd-1].text == string(texts[end-1]) {
		end, oldEnd = end-1, oldEnd-1
		matched[end] = old[oldEnd]
	}
	between := make(map[string]piece, oldEnd-front)
	for _, p := range old[front:oldEnd] {
		between[p.text] = p
	}
	for i := front; i < end; i++ {
		if p, ok := between[string(texts[i])]; ok {
			matched[i] = p
			delete(between, p.text)
		}
	}
	return matched
}
