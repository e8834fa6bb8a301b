package main

import (
	"testing"
	"time"
)

func TestLocation(t *testing.T) {
	for text, want := range map[string]bool{
		"+34.068930-118.445127":  true,
		"+34.068930-118.445127/": true,
		"+90-180.0":              true,
		"+90.1-118":              false,
		"+34-180.000001":         false,
		"+34.-118":               false,
		"34-118":                 false,
		"+34":                    false,
		"+0034-118":              false,
		"+34-118x":               false,
		"":                       false,
	} {
		if got := isLocation([]byte(text)); got != want {
			t.Errorf("isLocation(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestParseMoment(t *testing.T) {
	tests := []struct {
		text string
		want moment
		ok   bool
	}{
		{text: "1400000000", want: moment{seconds: 1400000000}, ok: true},
		{text: "1.5", want: moment{seconds: 1, nanos: 500000000}, ok: true},
		{text: "0.000000001", want: moment{nanos: 1}, ok: true},
		{text: "999999999999", want: moment{seconds: 999999999999}, ok: true},
		{text: "1000000000000"},
		{text: "1."},
		{text: ".5"},
		{text: "-1"},
		{text: "1.0000000001"},
		{text: "1.5x"},
	}
	for _, test := range tests {
		got, ok := parseMoment([]byte(test.text))
		if got != test.want || ok != test.ok {
			t.Errorf("parseMoment(%q) = %v, %v, want %v, %v", test.text, got, ok, test.want, test.ok)
		}
	}
}

func TestAppendSkew(t *testing.T) {
	tests := []struct {
		server time.Time
		client moment
		want   string
	}{
		{server: time.Unix(10, 5), client: moment{seconds: 10, nanos: 5}, want: "+0.000000000"},
		{server: time.Unix(10, 5), client: moment{seconds: 9, nanos: 6}, want: "+0.999999999"},
		{server: time.Unix(9, 6), client: moment{seconds: 10, nanos: 5}, want: "-0.999999999"},
		{server: time.Unix(10, 5), client: moment{seconds: 10, nanos: 6}, want: "-0.000000001"},
		{server: time.Unix(12, 0), client: moment{seconds: 10}, want: "+2.000000000"},
		{server: time.Unix(0, 0), client: moment{seconds: 999999999999}, want: "-999999999999.000000000"},
	}
	for _, test := range tests {
		if got := string(appendSkew(nil, test.server, test.client)); got != test.want {
			t.Errorf("appendSkew(%v, %v) = %q, want %q", test.server, test.client, got, test.want)
		}
	}
}
