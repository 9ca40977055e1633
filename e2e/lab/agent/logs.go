package agent

// The one part of a kubelet's own API that the agent has: `kubectl logs`. Exec, attach
// and port-forward are deliberately absent; a pod's process can be reached on its address.

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	logPort    = 10250
	followPoll = 200 * time.Millisecond
	// tailMost bounds how much of a log is read to find its last lines.
	tailMost = 16 << 20
)

func logPath(folder, namespace, name string) string {
	return filepath.Join(folder, namespace+"_"+name+".log")
}

// serveLogs runs as long as the agent; a lab without it lacks `kubectl logs` and nothing else.
func serveLogs(folder string) {
	certificate, err := selfSigned(time.Now())
	if err != nil {
		log.Printf("no logs are served: %v", err)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", func(writer http.ResponseWriter, request *http.Request) {
		file, err := os.Open(logPath(folder, filepath.Base(request.PathValue("namespace")), filepath.Base(request.PathValue("pod"))))
		if errors.Is(err, os.ErrNotExist) {
			http.Error(writer, "the pod has not started yet", http.StatusNotFound)
			return
		}
		if err != nil {
			http.Error(writer, err.Error(), http.StatusInternalServerError)
			return
		}
		defer file.Close()
		if lines, err := strconv.Atoi(request.URL.Query().Get("tailLines")); err == nil {
			seekTail(file, lines)
		}
		_, _ = io.Copy(writer, file)
		if request.URL.Query().Get("follow") == "true" {
			follow(writer, request, file)
		}
	})
	server := &http.Server{
		Addr: net.JoinHostPort(nodeAddress, strconv.Itoa(logPort)), Handler: mux, ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
	}
	log.Printf("no logs are served: %v", server.ListenAndServeTLS("", ""))
}

// follow polls until the client is gone; the API server closes when kubectl does.
func follow(writer http.ResponseWriter, request *http.Request, file io.Reader) {
	for {
		_ = http.NewResponseController(writer).Flush()
		select {
		case <-request.Context().Done():
			return
		case <-time.After(followPoll):
		}
		if _, err := io.Copy(writer, file); err != nil {
			return
		}
	}
}

// seekTail leaves the file at the start of its last lines.
func seekTail(file *os.File, lines int) {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return
	}
	start := max(0, size-tailMost)
	text := make([]byte, size-start)
	if _, err := file.ReadAt(text, start); err != nil {
		return
	}
	_, _ = file.Seek(start+int64(tailStart(text, lines)), io.SeekStart)
}

// tailStart is where the last lines of the text begin.
func tailStart(text []byte, lines int) int {
	if lines <= 0 {
		return len(text)
	}
	end := len(bytes.TrimSuffix(text, []byte("\n")))
	for range lines {
		if end = bytes.LastIndexByte(text[:end], '\n'); end < 0 {
			return 0
		}
	}
	return end + 1
}

func selfSigned(now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("failed to make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: nodeName},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(30 * 24 * time.Hour), IPAddresses: []net.IP{net.ParseIP(nodeAddress)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("failed to sign a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
