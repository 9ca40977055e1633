package app

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lab/frame"
)

func newTestCaller(t *testing.T, environment map[string]string) func(body []byte) (*http.Response, string) {
	t.Helper()
	settings, err := settingsFromEnvironment(func(name string) string { return environment[name] })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(New(settings).Handler())
	server.Config.Protocols = protocols()
	server.Start()
	t.Cleanup(server.Close)
	overHTTP2 := new(http.Protocols)
	overHTTP2.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: overHTTP2}}
	return func(body []byte) (*http.Response, string) {
		t.Helper()
		response, err := client.Post(server.URL+"/any.Service/Method", frame.ContentType, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		message, _ := frame.Read(response.Body)
		return response, string(message)
	}
}

func TestACallIsAnsweredWithItsMessageAndTheVersion(t *testing.T) {
	call := newTestCaller(t, map[string]string{"VERSION": "v2"})
	response, message := call(frame.Of([]byte("tide")))
	if response.ProtoMajor != 2 || response.StatusCode != 200 || response.Header.Get("X-Version") != "v2" {
		t.Fatalf("got %s %d from version %s", response.Proto, response.StatusCode, response.Header.Get("X-Version"))
	}
	if message != "tide" || response.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("got %q and the trailers %v", message, response.Trailer)
	}
}

func TestAnErrorOfACallIsACodeInTheTrailers(t *testing.T) {
	for name, test := range map[string]struct {
		rate string
		body []byte
		code string
	}{
		"the error rate":   {"1", frame.Of(nil), "13"},
		"half a message":   {"0", frame.Of([]byte("tide"))[:7], "3"},
		"two messages":     {"0", append(frame.Of(nil), frame.Of(nil)...), "3"},
		"a compressed one": {"0", []byte{1, 0, 0, 0, 0}, "3"},
	} {
		call := newTestCaller(t, map[string]string{"ERROR_RATE": test.rate})
		response, message := call(test.body)
		if response.StatusCode != 200 || message != "" || response.Trailer.Get("Grpc-Status") != test.code {
			t.Errorf("%s: got %d, %q and the trailers %v", name, response.StatusCode, message, response.Trailer)
		}
	}
}

func TestWhatIsNoCallIsAnsweredAsBefore(t *testing.T) {
	server := newTestServer(t, map[string]string{"VERSION": "v1"})
	response, err := http.Post(server.URL+"/", frame.ContentType, strings.NewReader("over HTTP/1.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d, %s", response.StatusCode, response.Header.Get("Content-Type"))
	}
}
