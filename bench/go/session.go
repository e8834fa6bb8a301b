package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	lineBytes  = 16 * 1024
	shownBytes = 64            // of a line that is too long
	readBytes  = lineBytes + 2 // the longest line with its end
	writeBytes = 8 * 1024      // replies that leave in one write
)

// session serves one connection. All complete lines that a read brought are answered by one write.
type session struct {
	node   *node
	number string
	conn   net.Conn
	in     *bufio.Reader
	out    *bufio.Writer
	at     []byte // the AT line of the last report; its memory is used again
}

func newSession(n *node, conn net.Conn) *session {
	return &session{
		node:   n,
		number: n.number(),
		conn:   conn,
		in:     bufio.NewReaderSize(conn, readBytes),
		out:    bufio.NewWriterSize(conn, writeBytes),
	}
}

func (s *session) run() {
	defer s.conn.Close()
	for {
		line, end, err := s.read()
		// A line that ends with the connection is one, unless it is this node that breaks off.
		isLine := err == nil || err == io.EOF && len(line) > 0
		if isLine {
			s.execute(line, end)
		}
		if err != nil {
			s.out.Flush()
			return
		}
		// As long as whole lines are left of what was read, their replies leave together.
		left, _ := s.in.Peek(s.in.Buffered())
		if bytes.IndexByte(left, '\n') < 0 && s.out.Flush() != nil {
			return
		}
	}
}

// read returns the next line and what ended it. Of a line that is too long, it returns one byte more than a line may have.
func (s *session) read() (line []byte, end string, err error) {
	line, err = s.in.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		return s.skip(line)
	}
	if err != nil {
		return line, "\n", err
	}
	line, end = cutEnd(line)
	return line, end, nil
}

// skip reads to the end of a line of which this much has come.
func (s *session) skip(read []byte) (line []byte, end string, err error) {
	line = bytes.Clone(read[:lineBytes+1])
	for err = bufio.ErrBufferFull; err == bufio.ErrBufferFull; {
		last := read[len(read)-1]
		read, err = s.in.ReadSlice('\n')
		read = append([]byte{last}, read...) // a CR may come before the newline's own read
	}
	if err != nil {
		return line, "\n", err
	}
	_, end = cutEnd(read)
	return line, end, nil
}

func cutEnd(line []byte) ([]byte, string) {
	line, _ = bytes.CutSuffix(line, []byte("\n"))
	if rest, ok := bytes.CutSuffix(line, []byte("\r")); ok {
		return rest, "\r\n"
	}
	return line, "\n"
}

func (s *session) execute(line []byte, end string) {
	if len(line) > lineBytes {
		s.invalid(line[:shownBytes], end)
		return
	}
	var array [8][]byte
	fields := split(line, array[:0])
	switch {
	case len(fields) == 4 && string(fields[0]) == "IAMAT" && isLocation(fields[2]):
		if reported, ok := parseMoment(fields[3]); ok {
			s.report(line, fields, reported, end)
			return
		}
	case len(fields) == 4 && string(fields[0]) == "WHATSAT" && s.node.upstream != nil:
		if at, ok := s.node.at(fields[1]); ok && isRadius.Match(fields[2]) && isBound.Match(fields[3]) {
			s.lookUp(line, at, fields, end)
			return
		}
	case len(fields) == 7 && string(fields[0]) == "AT" && s.node.isPeer(fields[6]):
		reported, ok := parseMoment(fields[5])
		if ok && isSkew.Match(fields[2]) && isLocation(fields[4]) {
			s.node.log.traffic(s.number, received(line))
			at := bytes.Join(fields[:6], []byte(" "))
			s.node.learn(fields[3], reported, at, string(fields[6]))
			return
		}
	}
	s.invalid(line, end)
}

func (s *session) report(line []byte, fields [][]byte, reported moment, end string) {
	at := append(append(s.at[:0], "AT "...), s.node.id...)
	at = appendSkew(append(at, ' '), time.Now(), reported)
	for _, field := range fields[1:] {
		at = append(append(at, ' '), field...)
	}
	s.at = at
	s.node.log.traffic(s.number, received(line), sent(at))
	s.node.learn(fields[1], reported, at, "")
	s.out.Write(at)
	s.out.WriteString(end)
}

func (s *session) lookUp(line []byte, at string, fields [][]byte, end string) {
	s.out.Flush() // what is owed does not wait for a lookup
	text, count := s.node.upstream.places(at, string(fields[2]), string(fields[3]))
	summary := fmt.Appendf(nil, "[%d results, %d bytes]", count, len(text))
	s.node.log.traffic(s.number, received(line), sent([]byte(at)), sent(summary))
	fmt.Fprint(s.out, at, end, text, end, end)
}

func (s *session) invalid(line []byte, end string) {
	if s.node.log != nil {
		s.node.log.traffic(s.number, received(line), sent(append([]byte("? "), line...)))
	}
	s.out.WriteString("? ")
	s.out.Write(line)
	s.out.WriteString(end)
}
