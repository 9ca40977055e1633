package load

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"lab/frame"
)

func TestCallsAreCountedByVersionAndCode(t *testing.T) {
	for name, test := range map[string]struct {
		version, code string
		answer        func(writer http.ResponseWriter, message []byte)
	}{
		"the message comes back": {"v1", "grpc:0", func(writer http.ResponseWriter, message []byte) {
			_, _ = writer.Write(frame.Of(message))
			writer.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		}},
		"another message comes back": {"v1", "error:echo", func(writer http.ResponseWriter, _ []byte) {
			_, _ = writer.Write(frame.Of([]byte("ebb")))
			writer.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		}},
		"a code after no message": {"v1", "grpc:13", func(writer http.ResponseWriter, _ []byte) {
			writer.WriteHeader(http.StatusOK)
			writer.(http.Flusher).Flush()
			writer.Header().Set(http.TrailerPrefix+"Grpc-Status", "13")
		}},
		"a code instead of a message": {"v1", "grpc:14", func(writer http.ResponseWriter, _ []byte) {
			writer.Header().Set("Grpc-Status", "14")
		}},
		"no code": {"v1", "error:no-code", func(writer http.ResponseWriter, message []byte) {
			_, _ = writer.Write(frame.Of(message))
		}},
		"no gRPC": {"v1", "404", func(writer http.ResponseWriter, _ []byte) {
			writer.WriteHeader(http.StatusNotFound)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
				message, err := frame.Read(request.Body)
				if err != nil || request.Host != "demo.example" || request.URL.Path != "/lab.Demo/Echo" {
					t.Errorf("%v, %s %s", err, request.Host, request.URL.Path)
				}
				writer.Header().Set("X-Version", "v1")
				test.answer(writer, message)
			}))
			server.Config.Protocols = onlyHTTP2()
			server.Start()
			defer server.Close()
			options := Options{
				URL: server.URL + "/lab.Demo/Echo", Host: "demo.example", GRPC: true, Rate: 100,
				Duration: 100 * time.Millisecond, Workers: 100, Timeout: 5 * time.Second,
				Out: filepath.Join(t.TempDir(), "out.json"),
			}
			tally := NewTally(time.Now())
			if err := run(context.Background(), options, tally); err != nil {
				t.Fatal(err)
			}
			if count := tally.Counts[test.version][test.code]; count == 0 || count != tally.Sent {
				t.Errorf("%d of %d: %v", count, tally.Sent, tally.Counts)
			}
		})
	}
}
