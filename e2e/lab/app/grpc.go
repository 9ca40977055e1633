package app

// The application's gRPC side: every unary method answers with the message it
// was sent. It deliberately has no service definition: a caller may name any
// service and method, and a GRPCRoute that matches on them can be tried.

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"lab/frame"
)

// Codes of gRPC that the application answers with.
const (
	codeOK              = 0
	codeInvalidArgument = 3
	codeInternal        = 13
)

// protocols of the listener: HTTP/1.1, and HTTP/2 without TLS for those that begin with it.
func protocols() *http.Protocols {
	both := new(http.Protocols)
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	return both
}

func isCall(request *http.Request) bool {
	return request.ProtoMajor == 2 && request.Method == http.MethodPost &&
		strings.HasPrefix(request.Header.Get("Content-Type"), frame.ContentType)
}

// echo is counted as an HTTP request is: an error of the application is a 500, so that one metric serves for both.
func (app *App) echo(writer http.ResponseWriter, request *http.Request) {
	begin := time.Now()
	message, err := frame.Read(request.Body)
	if latency := app.drawLatency(); latency > 0 {
		time.Sleep(latency)
	}
	code, counted := codeOK, http.StatusOK
	switch {
	case err != nil:
		code, counted = codeInvalidArgument, http.StatusBadRequest
	case app.fails():
		code, counted = codeInternal, http.StatusInternalServerError
	}
	header := writer.Header()
	header.Set("X-Version", app.settings.Version)
	header.Set("Content-Type", frame.ContentType)
	header.Set("Trailer", "Grpc-Status")
	writer.WriteHeader(http.StatusOK)
	if code == codeOK {
		_, _ = writer.Write(frame.Of(message))
	}
	header.Set("Grpc-Status", strconv.Itoa(code))
	app.metrics.observe(counted, time.Since(begin))
}
