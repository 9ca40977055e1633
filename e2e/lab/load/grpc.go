package load

// Unary gRPC calls, counted as requests are. It deliberately sends one small
// message over and over: what is looked at is who answers, and with which code.

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"

	"lab/frame"
)

var message = []byte("tide")

// onlyHTTP2 begins with HTTP/2 at once: without TLS there is nothing to negotiate it by.
func onlyHTTP2() *http.Protocols {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return protocols
}

// call sends one message and expects it back. A gateway that cannot reach the application
// answers with a code and no message; one that does not speak gRPC, with a status other than 200.
func (s *sender) call() (version, code string) {
	request := s.request.Clone(context.Background())
	request.Method = http.MethodPost
	request.Header.Set("Content-Type", frame.ContentType)
	request.Header.Set("TE", "trailers")
	body := frame.Of(message)
	request.ContentLength = int64(len(body))
	request.Body = io.NopCloser(bytes.NewReader(body))
	response, err := s.client.Do(request)
	if err != nil {
		return "", "error:" + kind(err)
	}
	defer response.Body.Close()
	version = response.Header.Get("X-Version")
	// The code is in the header if there is no message.
	if code := response.Header.Get("Grpc-Status"); code != "" {
		return version, "grpc:" + code
	}
	if response.StatusCode != http.StatusOK {
		return version, strconv.Itoa(response.StatusCode)
	}
	echoed, err := frame.Read(response.Body)
	switch code := response.Trailer.Get("Grpc-Status"); {
	case code != "" && code != "0":
		return version, "grpc:" + code
	case err != nil:
		return "", "error:" + kind(err)
	case code == "":
		return version, "error:no-code"
	case !bytes.Equal(echoed, message):
		return version, "error:echo"
	default:
		return version, "grpc:0"
	}
}
