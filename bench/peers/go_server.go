// Go: a goroutine for each connection. Prints its port. bench/race sets GOMAXPROCS=1.
//
//	go_server [echo|sink|udp]
//	go_server [echo|sink|udp]
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
)

func echo(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 1024)
	for {
		got, err := conn.Read(buffer)
		if got > 0 {
			if _, err := conn.Write(buffer[:got]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
		if got == len(buffer) && got < 65536 {
			buffer = make([]byte, 65536)
		}
	}
}

func sink(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 256*1024)
	var total uint64
	for {
		got, err := conn.Read(buffer)
		total += uint64(got)
		if err == io.EOF {
			break
		}
		if err != nil {
			return
		}
	}
	binary.LittleEndian.PutUint64(buffer, total)
	conn.Write(buffer[:8])
}

func echoDatagrams() error {
	sock, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	fmt.Println(sock.LocalAddr().(*net.UDPAddr).Port)
	buffer := make([]byte, 2048)
	for {
		got, from, err := sock.ReadFromUDPAddrPort(buffer)
		if err == nil {
			sock.WriteToUDPAddrPort(buffer[:got], from)
		}
	}
}

func serve(handle func(net.Conn)) error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		if conn, err := listener.Accept(); err == nil {
			go handle(conn)
		}
	}
}

func main() {
	what := "echo"
	if len(os.Args) > 1 {
		what = os.Args[1]
	}
	var err error
	switch what {
	case "udp":
		err = echoDatagrams()
	case "sink":
		err = serve(sink)
	default:
		err = serve(echo)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
