package metrics

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const (
	gaugeValue   = prometheus.GaugeValue
	counterValue = prometheus.CounterValue
)

// A metric is what is told of each T, such as a virtual service.
type metric[T any] struct {
	kind       prometheus.ValueType
	name, help string
	// labels are further ones, beside those of the subject.
	labels []string
	// tell calls put for each series.
	tell func(of T, put put)
}

// put takes one value, with the values of the metric's further labels.
type put func(value float64, labels ...string)

// gauge is a metric with one number that goes up and down.
func gauge[T any](name, help string, value func(T) float64) metric[T] {
	return metric[T]{gaugeValue, name, help, nil, func(of T, put put) { put(value(of)) }}
}

// counter is a metric with one number that only grows, until it begins anew.
func counter[T any](name, help string, value func(T) uint64) metric[T] {
	return metric[T]{counterValue, name, help, nil, func(of T, put put) { put(float64(value(of))) }}
}

// boolean is a metric that is 1 or 0.
func boolean[T any](name, help string, value func(T) bool) metric[T] {
	return gauge(name, help, func(of T) float64 { return number(value(of)) })
}

// moment is a metric of a time; a zero one is not told.
func moment[T any](name, help string, value func(T) time.Time) metric[T] {
	return metric[T]{gaugeValue, name, help, nil, func(of T, put put) {
		if at := value(of); !at.IsZero() {
			put(seconds(at))
		}
	}}
}

// information is a metric that is always 1 and tells by its labels.
func information[T any](name, help string, labels []string, values func(T) []string) metric[T] {
	return metric[T]{gaugeValue, name, help, labels, func(of T, put put) { put(1, values(of)...) }}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// A subject is what a table of metrics is about.
type subject[T any] struct {
	labels  []string
	metrics []metric[T]
	descs   []*prometheus.Desc
}

func newSubject[T any](labels []string, metrics ...metric[T]) *subject[T] {
	s := &subject[T]{labels: labels, metrics: metrics}
	for _, m := range metrics {
		s.descs = append(s.descs, prometheus.NewDesc(m.name, m.help, slices.Concat(labels, m.labels), nil))
	}
	return s
}

func (s *subject[T]) describe(to chan<- *prometheus.Desc) {
	for _, desc := range s.descs {
		to <- desc
	}
}

// tell makes the series of one T, with the values of the subject's labels, which come
// from distinct.
func (s *subject[T]) tell(to chan<- prometheus.Metric, of T, labels []string) {
	common := pairs(s.labels, labels)
	for i, m := range s.metrics {
		m.tell(of, func(value float64, further ...string) {
			all := common
			if len(further) > 0 {
				all = slices.Concat(common, pairs(m.labels, further))
				slices.SortFunc(all, byName)
			}
			to <- &series{s.descs[i], m.kind, value, all}
		})
	}
}

// pairs are labels as Prometheus sorts them.
func pairs(names, values []string) []*dto.LabelPair {
	all := make([]*dto.LabelPair, len(names))
	for i := range names {
		value := valid(values[i])
		all[i] = &dto.LabelPair{Name: &names[i], Value: &value}
	}
	slices.SortFunc(all, byName)
	return all
}

func byName(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) }

// series is one value with its labels, which all series of one thing share: there are
// twenty of each real server, and their labels were most of the memory that an
// answer takes.
type series struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	value  float64
	labels []*dto.LabelPair
}

// Desc implements prometheus.Metric.
func (s *series) Desc() *prometheus.Desc { return s.desc }

// Write implements prometheus.Metric.
func (s *series) Write(to *dto.Metric) error {
	to.Label = s.labels
	if s.kind == counterValue {
		to.Counter = &dto.Counter{Value: &s.value}
	} else {
		to.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}

// distinct numbers labels that come again: Prometheus refuses all metrics where two
// series have the same.
type distinct map[string]int

// of are the labels as Prometheus takes them, the last one with a number if all of
// them came before.
func (d distinct) of(labels ...string) []string {
	for i := range labels {
		labels[i] = valid(labels[i])
	}
	last := &labels[len(labels)-1]
	for {
		key := strings.Join(labels, "\x00")
		d[key]++
		if d[key] == 1 {
			return labels
		}
		*last = fmt.Sprintf("%s #%d", *last, d[key])
	}
}

// valid has what is no UTF-8 replaced.
func valid(label string) string { return strings.ToValidUTF8(label, "\uFFFD") }
