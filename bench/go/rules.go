package main

// What the model knows besides sockets: the fields of a line, and the skew. What every report has is read by hand,
// since Go's regular expressions take a microsecond for it.

import (
	"regexp"
	"strconv"
	"time"
)

var (
	isSkew   = regexp.MustCompile(`^[+-](?:0|[1-9][0-9]{0,12})\.[0-9]{9}$`)
	isRadius = regexp.MustCompile(`^0*(?:[0-4]?[0-9](?:\.[0-9]+)?|50(?:\.0+)?)$`)
	isBound  = regexp.MustCompile(`^0*(?:1?[0-9]|20)$`)
)

// split appends the fields of a line.
func split(line []byte, fields [][]byte) [][]byte {
	begin := -1
	for at, letter := range line {
		isSpace := letter == ' ' || letter >= '\t' && letter <= '\r'
		if isSpace && begin >= 0 {
			fields, begin = append(fields, line[begin:at]), -1
		} else if !isSpace && begin < 0 {
			begin = at
		}
	}
	if begin >= 0 {
		fields = append(fields, line[begin:])
	}
	return fields
}

// digits returns how many there are at the beginning.
func digits(text []byte) int {
	for at, letter := range text {
		if letter < '0' || letter > '9' {
			return at
		}
	}
	return len(text)
}

// cutDegrees cuts off a signed number of up to so many degrees. It returns nil if there is none.
func cutDegrees(text []byte, most int) (degrees, rest []byte) {
	if len(text) == 0 || text[0] != '+' && text[0] != '-' {
		return nil, nil
	}
	end := 1 + digits(text[1:])
	if end == 1 || end > 4 {
		return nil, nil
	}
	whole, _ := strconv.Atoi(string(text[1:end]))
	isZero := true
	if end < len(text) && text[end] == '.' {
		count := digits(text[end+1:])
		if count == 0 {
			return nil, nil
		}
		for _, digit := range text[end+1 : end+1+count] {
			isZero = isZero && digit == '0'
		}
		end += 1 + count
	}
	if whole > most || whole == most && !isZero {
		return nil, nil
	}
	return text[:end], text[end:]
}

// cutLocation parts latitude and longitude. It returns nil if there is none.
func cutLocation(text []byte) (latitude, longitude []byte) {
	latitude, rest := cutDegrees(text, 90)
	longitude, rest = cutDegrees(rest, 180)
	if latitude == nil || longitude == nil || len(rest) > 0 && string(rest) != "/" {
		return nil, nil
	}
	return latitude, longitude
}

func isLocation(text []byte) bool {
	latitude, _ := cutLocation(text)
	return latitude != nil
}

// moment is a client's time. A time.Time holds no such years.
type moment struct {
	seconds int64
	nanos   int32
}

func parseMoment(text []byte) (moment, bool) {
	whole := digits(text)
	if whole == 0 || whole > 12 {
		return moment{}, false
	}
	seconds, _ := strconv.ParseInt(string(text[:whole]), 10, 64)
	if whole == len(text) {
		return moment{seconds: seconds}, true
	}
	decimals := text[whole+1:]
	if text[whole] != '.' || len(decimals) == 0 || len(decimals) > 9 || digits(decimals) < len(decimals) {
		return moment{}, false
	}
	nanos := int32(0)
	for at := range 9 {
		nanos *= 10
		if at < len(decimals) {
			nanos += int32(decimals[at] - '0')
		}
	}
	return moment{seconds: seconds, nanos: nanos}, true
}

func (m moment) isAfter(other moment) bool {
	return m.seconds > other.seconds || m.seconds == other.seconds && m.nanos > other.nanos
}

// appendSkew appends the server's clock minus the client's.
func appendSkew(line []byte, server time.Time, client moment) []byte {
	seconds, nanos := server.Unix()-client.seconds, int64(server.Nanosecond())-int64(client.nanos)
	sign := byte('+')
	if seconds < 0 || seconds == 0 && nanos < 0 {
		sign, seconds, nanos = '-', -seconds, -nanos
	}
	if nanos < 0 {
		seconds, nanos = seconds-1, nanos+1e9
	}
	line = strconv.AppendInt(append(line, sign), seconds, 10)
	line = append(line, '.')
	begin := len(line)
	line = strconv.AppendInt(line, 1e9+nanos, 10)
	// The digit that kept the zeros gives way.
	return append(line[:begin], line[begin+1:]...)
}
