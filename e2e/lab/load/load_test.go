package load

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

func runAgainst(t *testing.T, handler http.HandlerFunc, options Options) *Tally {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	options.URL, options.Out = server.URL, filepath.Join(t.TempDir(), "out.json")
	if err := run(context.Background(), options, NewTally(time.Now())); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(options.Out)
	if err != nil {
		t.Fatal(err)
	}
	written := &Tally{}
	if err := json.Unmarshal(text, written); err != nil {
		t.Fatal(err)
	}
	return written
}

func TestEveryAnswerIsCountedByVersionAndCode(t *testing.T) {
	var asked atomic.Uint64
	tally := runAgainst(t, func(writer http.ResponseWriter, request *http.Request) {
		if request.Host != "demo.example" {
			t.Errorf("the host is %s", request.Host)
		}
		writer.Header().Set("X-Version", "v1")
		if asked.Add(1)%4 == 0 {
			writer.WriteHeader(http.StatusInternalServerError)
		}
	}, Options{Host: "demo.example", Rate: 400, Duration: 500 * time.Millisecond, Workers: 100, Timeout: 5 * time.Second})
	good, bad := tally.Counts["v1"]["200"], tally.Counts["v1"]["500"]
	if good+bad != asked.Load() || bad != asked.Load()/4 || tally.Answered != asked.Load() || tally.Sent != asked.Load() {
		t.Errorf("the server answered %d, the tally says %+v", asked.Load(), tally)
	}
	inSeconds := uint64(0)
	for _, second := range tally.Seconds {
		inSeconds += second.Counts["v1"]["200"] + second.Counts["v1"]["500"]
	}
	if inSeconds != tally.Answered {
		t.Errorf("the seconds add up to %d of %d", inSeconds, tally.Answered)
	}
}

func TestTheScheduleDoesNotWaitForSlowAnswers(t *testing.T) {
	tally := runAgainst(t, func(writer http.ResponseWriter, _ *http.Request) {
		time.Sleep(300 * time.Millisecond)
	}, Options{Rate: 200, Duration: 500 * time.Millisecond, Workers: 1000, Timeout: 5 * time.Second})
	if tally.Sent < 95 || tally.Sent > 105 || tally.Answered != tally.Sent {
		t.Errorf("sent %d and answered %d, want about 100 of each", tally.Sent, tally.Answered)
	}
}

func TestWhatCannotBeAnsweredIsNamed(t *testing.T) {
	options := Options{Rate: 50, Duration: 200 * time.Millisecond, Workers: 2, Timeout: 100 * time.Millisecond}
	tally := runAgainst(t, func(_ http.ResponseWriter, request *http.Request) {
		<-request.Context().Done()
	}, options)
	if tally.Counts[""]["error:timeout"] == 0 || tally.Counts[""]["error:overload"] == 0 {
		t.Errorf("the counts are %v, want timeouts and overloads", tally.Counts)
	}
}

func TestTheHistoryIsBounded(t *testing.T) {
	begin := time.Unix(1_000_000, 0)
	tally := NewTally(begin)
	for second := range secondsKept + 10 {
		tally.Answer(begin.Add(time.Duration(second)*time.Second), "v1", "200")
	}
	if len(tally.Seconds) != secondsKept || tally.Seconds[0].Unix != begin.Unix()+10 {
		t.Errorf("%d seconds are kept from %d", len(tally.Seconds), tally.Seconds[0].Unix)
	}
	if tally.Counts["v1"]["200"] != secondsKept+10 {
		t.Errorf("the total forgets: %v", tally.Counts)
	}
}
