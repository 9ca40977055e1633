// Package frame is what gRPC adds to HTTP/2 around a message: one byte and a
// length. The demo application and the load generator speak gRPC with it and
// net/http alone.
//
// It deliberately knows no compression, no protobuf and no streams: a call is
// one message each way, and the lab looks at versions and codes.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ContentType is how a request says that it is a gRPC call.
const ContentType = "application/grpc"

// headerSize is the flag for compression and the length of the message.
const headerSize = 5

// mostBytes bounds a message: it is read into memory.
const mostBytes = 1 << 20

// ErrCompressed refuses what nothing in the lab sends.
var ErrCompressed = errors.New("the message is compressed")

// Of returns the message with its frame around it.
func Of(message []byte) []byte {
	framed := make([]byte, headerSize, headerSize+len(message))
	binary.BigEndian.PutUint32(framed[1:], uint32(len(message)))
	return append(framed, message...)
}

// Read takes the one message out of a body and expects nothing after it.
func Read(body io.Reader) ([]byte, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(body, header[:]); err != nil {
		return nil, fmt.Errorf("failed to read a message's frame: %w", err)
	}
	if header[0] != 0 {
		return nil, ErrCompressed
	}
	length := binary.BigEndian.Uint32(header[1:])
	if length > mostBytes {
		return nil, fmt.Errorf("the message has %d bytes, %d at most", length, mostBytes)
	}
	message := make([]byte, length)
	if _, err := io.ReadFull(body, message); err != nil {
		return nil, fmt.Errorf("failed to read a message: %w", err)
	}
	// The end must be read too: trailers come after it.
	more, err := io.Copy(io.Discard, body)
	if err != nil {
		return nil, fmt.Errorf("failed to read a body to its end: %w", err)
	}
	if more > 0 {
		return nil, fmt.Errorf("%d bytes follow the message", more)
	}
	return message, nil
}
