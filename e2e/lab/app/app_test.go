package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func newTestServer(t *testing.T, environment map[string]string) *httptest.Server {
	t.Helper()
	settings, err := settingsFromEnvironment(func(name string) string { return environment[name] })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(New(settings).Handler())
	t.Cleanup(server.Close)
	return server
}

func do(t *testing.T, method, url string) (int, string, http.Header) {
	t.Helper()
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body), response.Header
}

func TestErrorsExistAsASeriesOnlyAfterTheFirst(t *testing.T) {
	server := newTestServer(t, map[string]string{"VERSION": "v2"})
	code, _, header := do(t, "GET", server.URL+"/")
	if code != 200 || header.Get("X-Version") != "v2" {
		t.Fatalf("got %d from version %s", code, header.Get("X-Version"))
	}
	_, text, _ := do(t, "GET", server.URL+"/metrics")
	if !strings.Contains(text, `http_requests_total{code="200"} 1`) || strings.Contains(text, `code="500"`) {
		t.Fatalf("before the first error:\n%s", text)
	}
	do(t, "POST", server.URL+"/-/errors?rate=1")
	if code, _, _ := do(t, "GET", server.URL+"/"); code != 500 {
		t.Fatalf("got %d at error rate 1", code)
	}
	_, text, _ = do(t, "GET", server.URL+"/metrics")
	for _, line := range []string{`http_requests_total{code="500"} 1`, `http_request_duration_seconds_bucket{le="+Inf"} 2`, `http_request_duration_seconds_count 2`} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%s is not in\n%s", line, text)
		}
	}
}

func TestReadinessFollowsReadyAfter(t *testing.T) {
	for readyAfter, want := range map[string]int{"": 200, "1h": 503, "never": 503} {
		server := newTestServer(t, map[string]string{"READY_AFTER": readyAfter})
		if code, _, _ := do(t, "GET", server.URL+"/readyz"); code != want {
			t.Errorf("READY_AFTER=%s answers %d, want %d", readyAfter, code, want)
		}
	}
}

func TestUnreadableSettingsAreRefused(t *testing.T) {
	for name, value := range map[string]string{"ERROR_RATE": "1.5", "LATENCY_MS": "fast", "DRAIN": "2", "READY_AFTER": "soon"} {
		_, err := settingsFromEnvironment(func(asked string) string {
			if asked == name {
				return value
			}
			return ""
		})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s gives %v", name, value, err)
		}
	}
}
