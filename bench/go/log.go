package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"sync"
	"time"
)

const logBytes = 64 * 1024

// trafficLog keeps lines in memory and writes some at a time, at the latest after a second. Nil writes none.
type trafficLog struct {
	mu   sync.Mutex
	file *bufio.Writer
}

// entry is a line that came or went.
type entry struct {
	mark byte
	line []byte
}

func received(line []byte) entry { return entry{mark: '<', line: line} }

func sent(line []byte) entry { return entry{mark: '>', line: line} }

func openLog(path string) (*trafficLog, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &trafficLog{file: bufio.NewWriterSize(file, logBytes)}, nil
}

// traffic writes the lines of one batch; the first has the time.
func (l *trafficLog) traffic(number string, entries ...entry) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file.Write(time.Now().UTC().AppendFormat(l.file.AvailableBuffer(), "2006-01-02T15:04:05.000000Z "))
	for _, e := range entries {
		l.file.WriteString(number)
		l.file.Write([]byte{' ', e.mark, ' '})
		l.writeEscaped(e.line)
		l.file.WriteByte('\n')
	}
}

func (l *trafficLog) writeEscaped(line []byte) {
	plain := 0 // from where on nothing has needed an escape
	for at, letter := range line {
		if letter >= ' ' && letter <= '~' && letter != '\\' {
			continue
		}
		l.file.Write(line[plain:at])
		plain = at + 1
		if letter == '\\' {
			l.file.WriteString(`\\`)
		} else {
			fmt.Fprintf(l.file, `\x%02x`, letter)
		}
	}
	l.file.Write(line[plain:])
}

func (l *trafficLog) flush() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.file.Flush(); err != nil {
		log.Print("the log: ", err)
	}
}

func (l *trafficLog) flushEach(period time.Duration) {
	for range time.Tick(period) {
		l.flush()
	}
}
