package config

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// piecesPerReader is how many pieces are worth a goroutine.
const piecesPerReader = 32

// piece is a virtual service and the text that it was read from.
type piece struct {
	// text is empty where it does not say all: the service depends on files
	// that it names, and is read again every time.
	text    string
	service *service
}

// readPieces reads the services that the document has in pieces, as far as they
// are not read yet, on all processors. What is found does not depend on which
// of them reads what: a report has no order.
func (r *reader) readPieces() error {
	d := r.document
	if d.pieces == nil {
		d.pieces = make([]piece, len(d.services))
	}
	var next atomic.Int64
	readers := make([]pieceReader, min(runtime.GOMAXPROCS(0), 1+len(d.services)/piecesPerReader))
	var others sync.WaitGroup
	for n := range readers {
		readers[n].reader = *r
		readers[n].report, readers[n].spare = new(report), nil
		if n > 0 {
			others.Go(func() { readers[n].read(&next) })
		}
	}
	readers[0].read(&next)
	others.Wait()
	for _, pr := range readers {
		if pr.err != nil {
			return pr.err
		}
		r.report.join(pr.report)
	}
	for i, p := range d.pieces {
		p.service.moveTo(r, i)
	}
	return nil
}

// pieceReader is one of several readers of the same document.
type pieceReader struct {
	reader
	err error
}

// read reads the pieces that nobody else has taken, up to the first that cannot
// be decoded.
func (r *pieceReader) read(next *atomic.Int64) {
	at := path{}.key(serviceKey)
	for r.err == nil {
		i := int(next.Add(1)) - 1
		if i >= len(r.pieces) {
			return
		}
		p := &r.pieces[i]
		if p.service != nil {
			continue
		}
		p.text = string(r.services[i])
		values, err := decodeService(p.text)
		if err != nil {
			r.err = err
			next.Store(int64(len(r.pieces)))
			return
		}
		t, files := &table{reader: &r.reader, layers: []layer{{at.index(i), values}}}, r.filesRead
		p.service = readService(t)
		if r.filesRead > files {
			p.text = ""
		}
	}
}

// moveTo makes the service element i of the reader's document. All places in it
// are below that element, so that they move too.
func (s *service) moveTo(r *reader, i int) {
	s.reader = r
	s.path().last.element = i + 1
}
