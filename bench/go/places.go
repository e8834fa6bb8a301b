package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

const failed = `{"error_message":"The upstream has failed.","results":[],"status":"UNKNOWN_ERROR"}`

var (
	results    = regexp.MustCompile(`"results"\s*:\s*\[`)
	emptyLines = regexp.MustCompile(`\n[\r\n]+`)
)

// upstream is Nearby Search, over connections that the transport keeps.
type upstream struct {
	url    string
	client http.Client
}

func newUpstream(url string) *upstream {
	transport := &http.Transport{MaxIdleConnsPerHost: idleUpstream}
	return &upstream{url: url, client: http.Client{Transport: transport, Timeout: lookupTime}}
}

// places returns the document for a client that is there, and how many results it has.
func (u *upstream) places(at, radius, bound string) (string, int) {
	body, err := u.ask(target(at, radius))
	if err != nil {
		return failed, 0
	}
	most, _ := strconv.Atoi(bound)
	text, count, err := cut(body, most)
	if err != nil {
		return failed, 0
	}
	return text, count
}

func (u *upstream) ask(path string) (string, error) {
	response, err := u.client.Get(u.url + path)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return string(body), err
}

// target is what the upstream is asked.
func target(at, radius string) string {
	latitude, longitude := cutLocation([]byte(strings.Fields(at)[4]))
	kilometres, _ := strconv.ParseFloat(radius, 64)
	metres := math.Max(math.Round(kilometres*1e9)/1e6, 1)
	return fmt.Sprintf("/maps/api/place/nearbysearch/json?location=%s,%s&radius=%s&key=bench",
		plain(string(latitude)), plain(string(longitude)), strconv.FormatFloat(metres, 'f', -1, 64))
}

func plain(number string) string {
	value, _ := strconv.ParseFloat(number, 64)
	return strconv.FormatFloat(value, 'f', -1, 64)
}

// cut returns the document with its first results, every byte of them as it came, and how many those are.
func cut(body string, most int) (string, int, error) {
	text := emptyLines.ReplaceAllString(strings.Trim(body, "\r\n"), "\n")
	array := results.FindStringIndex(text)
	if array == nil {
		return "", 0, errors.New("no results")
	}
	start := array[1] - 1 // at the bracket
	decoder := json.NewDecoder(strings.NewReader(text[start:]))
	if _, err := decoder.Token(); err != nil {
		return "", 0, err
	}
	head, end, count := start+1, start+1, 0
	for decoder.More() {
		var result json.RawMessage
		if err := decoder.Decode(&result); err != nil {
			return "", 0, err
		}
		count++
		end = start + int(decoder.InputOffset())
		if count <= most {
			head = end
		}
	}
	if _, err := decoder.Token(); err != nil {
		return "", 0, err
	}
	if most == 0 && count > 0 {
		end = start + int(decoder.InputOffset()) - 1
	}
	return text[:head] + text[end:], min(count, most), nil
}
