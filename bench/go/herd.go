// A node of the herd in Go: a goroutine a connection, on net and bufio. bench/README.md has the command line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	outboxLines  = 65536 // for one peer; what finds no room is lost
	retryTime    = time.Second
	dialTime     = 10 * time.Second
	handOverTime = 2 * time.Second      // for a peer to take what waits for it, once the sessions have ended
	leastPause   = 5 * time.Millisecond // after an accept that failed; twice as long after the next
	mostPause    = time.Second
	flushTime    = time.Second
	drainTime    = 10 * time.Second
	lookupTime   = 6 * time.Second
	idleUpstream = 1024 // connections to the upstream that are kept
)

// location is what a node knows of a client.
type location struct {
	reported moment
	at       string // the AT line
}

// node is what all goroutines share.
type node struct {
	id       string
	peers    []*peer
	upstream *upstream
	log      *trafficLog

	mu    sync.RWMutex
	known map[string]*location

	connections atomic.Int64
	sessions    sync.WaitGroup
	opening     sync.Mutex // guards the next two
	stopping    bool       // no session begins any more
	open        map[net.Conn]struct{}
}

// number returns the next connection's, as it stands in the log.
func (n *node) number() string {
	return fmt.Sprintf("#%d", n.connections.Add(1))
}

// at returns the AT line of a client.
func (n *node) at(client []byte) (string, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	kept := n.known[string(client)]
	if kept == nil {
		return "", false
	}
	return kept.at, true
}

// learn keeps what is strictly newer, and tells it to all peers but the one it came from.
func (n *node) learn(client []byte, reported moment, at []byte, sender string) {
	if !n.keep(client, reported, at) {
		return
	}
	var news []byte
	for _, p := range n.peers {
		l := p.link.Load()
		if l == nil || p.id == sender {
			continue
		}
		if news == nil {
			news = fmt.Appendf(nil, "%s %s\n", at, n.id)
		}
		select {
		case l.outbox <- news:
			n.log.traffic(l.number, sent(news[:len(news)-1]))
		default:
		}
	}
}

func (n *node) keep(client []byte, reported moment, at []byte) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	kept := n.known[string(client)]
	if kept == nil {
		n.known[string(client)] = &location{reported: reported, at: string(at)}
		return true
	}
	if !reported.isAfter(kept.reported) {
		return false
	}
	kept.reported, kept.at = reported, string(at)
	return true
}

// isPeer tells whether a line from this sender is a peer's.
func (n *node) isPeer(sender []byte) bool {
	for _, p := range n.peers {
		if p.id == string(sender) {
			return true
		}
	}
	return false
}

func (n *node) serve(listener net.Listener) {
	pause := time.Duration(0)
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // the caller has hung up, or descriptors have run out
			pause = min(max(2*pause, leastPause), mostPause)
			time.Sleep(pause)
			continue
		}
		pause = 0
		n.begin(conn)
	}
}

// begin serves a connection, unless this node is stopping.
func (n *node) begin(conn net.Conn) {
	n.opening.Lock()
	defer n.opening.Unlock()
	if n.stopping {
		conn.Close()
		return
	}
	n.open[conn] = struct{}{}
	n.sessions.Go(func() {
		newSession(n, conn).run()
		n.opening.Lock()
		defer n.opening.Unlock()
		delete(n.open, conn)
	})
}

// stop ends every wait for a read. No session begins after it.
func (n *node) stop() {
	n.opening.Lock()
	defer n.opening.Unlock()
	n.stopping = true
	for conn := range n.open {
		conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// drain has every session finish what it has read, and waits for them.
func (n *node) drain(listener net.Listener) {
	listener.Close()
	n.stop()
	done := make(chan struct{})
	go func() {
		n.sessions.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(drainTime):
	}
}

// peers is the flag that may be repeated.
type peers []*peer

func (p *peers) String() string { return "" }

func (p *peers) Set(text string) error {
	id, address, ok := strings.Cut(text, "=")
	if !ok {
		return errors.New("give ID=HOST:PORT")
	}
	*p = append(*p, &peer{id: id, address: address})
	return nil
}

func main() {
	n := &node{known: make(map[string]*location), open: make(map[net.Conn]struct{})}
	flag.StringVar(&n.id, "id", "", "the node's `name`")
	listen := flag.String("listen", "", "`HOST:PORT` for clients and peers")
	flag.Var((*peers)(&n.peers), "peer", "`ID=HOST:PORT` of a neighbour; may be repeated")
	url := flag.String("upstream", "", "the `URL` of a Nearby Search")
	file := flag.String("log", "", "the traffic log's `file`")
	flag.Parse()
	if n.id == "" || *listen == "" || flag.NArg() > 0 {
		fmt.Fprintln(flag.CommandLine.Output(), "--id and --listen are required, and nothing but flags is taken")
		flag.Usage()
		os.Exit(2)
	}
	if *url != "" {
		n.upstream = newUpstream(*url)
	}
	if *file != "" {
		traffic, err := openLog(*file)
		if err != nil {
			log.Fatal(err)
		}
		n.log = traffic
		go traffic.flushEach(flushTime)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	terminated, forget := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer forget()
	fmt.Println("listening", listener.Addr())
	// Links outlast the sessions, whose last news they take.
	linked, unlink := context.WithCancel(context.Background())
	var links sync.WaitGroup
	for _, p := range n.peers {
		links.Go(func() { n.keepLinked(linked, p) })
	}
	go n.serve(listener)
	<-terminated.Done()
	n.drain(listener)
	unlink()
	links.Wait()
	n.log.flush()
}
