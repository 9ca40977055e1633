package app

// The application's own metrics in the Prometheus text format, by hand: two
// families do not earn a dependency. A code's series deliberately does not exist
// before its first answer, because real applications behave so, and "no series" must
// not be mistaken for "no errors known".

import (
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"sync"
	"time"
)

var durationBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

type metrics struct {
	mutex   sync.Mutex
	byCode  map[int]uint64
	buckets []uint64 // not cumulative; the last is +Inf
	seconds float64
	count   uint64
}

func newMetrics() *metrics {
	return &metrics{byCode: map[int]uint64{}, buckets: make([]uint64, len(durationBuckets)+1)}
}

func (m *metrics) observe(code int, duration time.Duration) {
	bucket := sort.SearchFloat64s(durationBuckets, duration.Seconds())
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.byCode[code]++
	m.buckets[bucket]++
	m.seconds += duration.Seconds()
	m.count++
}

func (m *metrics) serve(writer http.ResponseWriter, _ *http.Request) {
	writer.Header().Set("Content-Type", "text/plain; version=0.0.4")
	m.mutex.Lock()
	defer m.mutex.Unlock()
	fmt.Fprintln(writer, "# HELP http_requests_total Requests answered, by status code.")
	fmt.Fprintln(writer, "# TYPE http_requests_total counter")
	codes := make([]int, 0, len(m.byCode))
	for code := range m.byCode {
		codes = append(codes, code)
	}
	sort.Ints(codes)
	for _, code := range codes {
		fmt.Fprintf(writer, "http_requests_total{code=\"%d\"} %d\n", code, m.byCode[code])
	}
	const duration = "http_request_duration_seconds"
	fmt.Fprintf(writer, "# HELP %s How long answers took.\n# TYPE %s histogram\n", duration, duration)
	cumulative := uint64(0)
	for index, bound := range durationBuckets {
		cumulative += m.buckets[index]
		fmt.Fprintf(writer, "%s_bucket{le=%q} %d\n", duration, strconv.FormatFloat(bound, 'g', -1, 64), cumulative)
	}
	fmt.Fprintf(writer, "%s_bucket{le=\"+Inf\"} %d\n", duration, m.count)
	fmt.Fprintf(writer, "%s_sum %g\n%s_count %d\n", duration, m.seconds, duration, m.count)
}
