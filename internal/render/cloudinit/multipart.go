package cloudinit

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"

	"muster/internal/node"
)

// User-data with programs is a MIME message: the configuration, readable or packed, then a boothook for each program.
//
// The boundary occurs in no part: its line begins with a hyphen, which no line of base64 and of our scripts does, and in
// the configuration hyphens are followed by a blank. The line feed before it belongs to it, not to the part.
const (
	boundary        = "muster"
	multipartHeader = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"" + boundary + "\"\n"
	partStart       = "\n--" + boundary + "\n"
	messageEnd      = "\n--" + boundary + "--\n"
	// cloudConfig and boothook are the types by which cloud-init knows what to do with a part.
	cloudConfig = "text/cloud-config"
	boothook    = "text/cloud-boothook"
)

// withPrograms returns user-data with programs beside its configuration, and without programs the configuration.
func withPrograms(configuration []byte, programs []node.Program, done string) []byte {
	if len(programs) == 0 {
		return configuration
	}
	size := len(configuration) + 4<<10
	for _, p := range programs {
		size += base64.StdEncoding.EncodedLen(len(p.Gzip)) + len(p.Gzip)/programLine + 4<<10
	}
	message := append(make([]byte, 0, size), multipartHeader+partStart...)
	if bytes.HasPrefix(configuration, []byte(Header)) {
		message = append(message, partHeader(cloudConfig)...)
	}
	message = append(message, configuration...) // a packed one has its part's header already
	for _, p := range programs {
		message = append(message, partStart+partHeader(boothook)...)
		message = appendProgram(message, p, done)
	}
	return append(message, messageEnd...)
}

func partHeader(contentType string) string {
	return "MIME-Version: 1.0\nContent-Type: " + contentType + "; charset=\"us-ascii\"\nContent-Transfer-Encoding: 7bit\n\n"
}

// splitPrograms is the inverse of withPrograms for what is in the parts, read by a MIME reader that is not ours; whether
// there is anything beside that shows when the message is made again.
func splitPrograms(userData []byte) (configuration []byte, programs []node.Program, err error) {
	if !bytes.HasPrefix(userData, []byte(multipartHeader)) {
		return userData, nil, nil
	}
	message, err := mail.ReadMessage(bytes.NewReader(userData))
	if err != nil {
		return nil, nil, err
	}
	_, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		return nil, nil, err
	}
	var bodies bytes.Buffer // of all parts, which are less than the message
	bodies.Grow(len(userData) + bytes.MinRead)
	r := multipart.NewReader(message.Body, parameters["boundary"])
	for {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return configuration, programs, nil
		}
		if err != nil {
			return nil, nil, err
		}
		begin := bodies.Len()
		if _, err := bodies.ReadFrom(part); err != nil {
			return nil, nil, err
		}
		body := slices.Clip(bodies.Bytes()[begin:])
		switch contentType, _, err := mime.ParseMediaType(part.Header.Get("Content-Type")); {
		case err != nil:
			return nil, nil, err
		case configuration == nil && contentType == cloudConfig:
			configuration = body
		case configuration == nil && contentType == packedType:
			configuration = append([]byte(packedHeader), body...)
		case contentType == boothook:
			p, err := readProgram(body)
			if err != nil {
				return nil, nil, err
			}
			programs = append(programs, p)
		default:
			return nil, nil, fmt.Errorf("a part of type %s is unknown or one too many", contentType)
		}
	}
}
