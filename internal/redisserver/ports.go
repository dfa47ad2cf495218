package redisserver

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports are taken from below those that the system gives to outgoing connections, so that
// a server finds its port free when it comes back. A Cluster's nodes talk at port + busOffset.
const (
	firstPort = 10_000
	ports     = 12_000
	busOffset = 10_000
)

// freePort returns one that was free a moment ago. Who finds it taken asks again.
func freePort() (int, error) {
	for range 1000 {
		port := firstPort + rand.IntN(ports)
		if free(port) && free(port+busOffset) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port from %d to %d is free on 127.0.0.1", firstPort, firstPort+ports-1)
}

func free(port int) bool {
	l, err := net.Listen("tcp", address(port))
	return err == nil && l.Close() == nil
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
