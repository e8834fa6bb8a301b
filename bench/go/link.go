package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// peer is a neighbour that this node dials.
type peer struct {
	id, address string
	link        atomic.Pointer[link] // nil while there is none
}

// link is what this node says to a peer; the goroutine that dialled it takes from the outbox.
type link struct {
	number string
	outbox chan []byte
}

func (n *node) keepLinked(p *peer) {
	for {
		if conn, err := net.Dial("tcp", p.address); err == nil {
			n.talk(p, conn)
		}
		time.Sleep(retryTime)
	}
}

// talk sends news until the connection ends.
func (n *node) talk(p *peer, conn net.Conn) {
	defer conn.Close()
	l := &link{n.number(), make(chan []byte, outboxLines)}
	p.link.Store(l)
	defer p.link.Store(nil)
	fmt.Println("linked", p.id)
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, conn) // what a peer says on the connection made to it is thrown away
		close(ended)
	}()
	out := bufio.NewWriter(conn)
	for {
		select {
		case line := <-l.outbox:
			out.Write(line)
		case <-ended:
			return
		}
		if len(l.outbox) == 0 && out.Flush() != nil {
			return
		}
	}
}
