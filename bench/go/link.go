package main

import (
	"bufio"
	"context"
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

// keepLinked dials a peer again and again, until the context is done.
func (n *node) keepLinked(ctx context.Context, p *peer) {
	dialer := net.Dialer{Timeout: dialTime}
	for {
		if conn, err := dialer.DialContext(ctx, "tcp", p.address); err == nil {
			n.talk(ctx, p, conn)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryTime):
		}
	}
}

// talk sends news until the connection ends, or the context is done and what waited is sent.
func (n *node) talk(ctx context.Context, p *peer, conn net.Conn) {
	l := &link{number: n.number(), outbox: make(chan []byte, outboxLines)}
	p.link.Store(l)
	defer p.link.Store(nil)
	fmt.Println("linked", p.id)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		io.Copy(io.Discard, conn) // what a peer says on the connection made to it is thrown away
	}()
	defer func() {
		conn.Close()
		<-ended
	}()
	forget := context.AfterFunc(ctx, func() { conn.SetWriteDeadline(time.Now().Add(handOverTime)) })
	defer forget()
	out := bufio.NewWriter(conn)
	for {
		select {
		case line := <-l.outbox:
			out.Write(line)
		case <-ended:
			return
		case <-ctx.Done():
			for len(l.outbox) > 0 {
				out.Write(<-l.outbox)
			}
			out.Flush()
			return
		}
		if len(l.outbox) == 0 && out.Flush() != nil {
			return
		}
	}
}
